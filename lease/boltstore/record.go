package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"apquic/certs"
	"apquic/lease"
)

// Limits of a record, in bytes: the wire allows less.
const (
	maxService = 255
	maxOrigin  = 2048
	maxRecord  = 16 << 10 // both in JSON, with every byte escaped, and the rest
)

var (
	errDamaged = errors.New("the file is damaged")
	errFormat  = errors.New("the file is of another program or version")
)

// record is the encoding of a lease, format 1. The node and the service are in its
// key, too: here they are for people, and for a check.
type record struct {
	Node      certs.NodeID `json:"node"`
	Service   string       `json:"service"`
	Port      uint16       `json:"port"`
	Origin    string       `json:"origin"`
	HeldUntil time.Time    `json:"heldUntil,omitzero"` // not there: attached
	Revision  uint64       `json:"revision"`
}

func encodeKey(key lease.Key) []byte {
	return append(key.Node[:], key.Service...)
}

func encodePort(port uint16) []byte {
	return binary.BigEndian.AppendUint16(nil, port)
}

func encode(l lease.Lease) ([]byte, error) {
	return json.Marshal(record{
		Node: l.Node, Service: l.Service, Port: l.Port, Origin: l.Origin,
		HeldUntil: l.HeldUntil.UTC(), Revision: l.Revision,
	})
}

// decode reads the record under key, strictly: a field that it does not know may
// mean anything.
func decode(key, data []byte) (lease.Lease, error) {
	var r record
	if len(data) > maxRecord {
		return lease.Lease{}, fmt.Errorf("%w: a record has %d bytes", errDamaged, len(data))
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return lease.Lease{}, fmt.Errorf("%w: a record cannot be read: %w", errDamaged, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return lease.Lease{}, fmt.Errorf("%w: something follows a record", errDamaged)
	}
	l := lease.Lease{
		Key: lease.Key{Node: r.Node, Service: r.Service}, Port: r.Port, Origin: r.Origin,
		HeldUntil: r.HeldUntil, Revision: r.Revision,
	}
	switch err := check(l); {
	case err != nil:
		return lease.Lease{}, fmt.Errorf("%w: %w", errDamaged, err)
	case !bytes.Equal(encodeKey(l.Key), key):
		return lease.Lease{}, fmt.Errorf("%w: the record of port %d is under another key", errDamaged, l.Port)
	case l.Revision == 0:
		return lease.Lease{}, fmt.Errorf("%w: the record of port %d has no revision", errDamaged, l.Port)
	}
	return l, nil
}

// check bounds what is written and what is read.
func check(l lease.Lease) error {
	switch {
	case l.Node.IsZero():
		return errors.New("a lease needs a node")
	case l.Service == "" || len(l.Service) > maxService:
		return fmt.Errorf("the name of a service has 1 to %d bytes, not %d", maxService, len(l.Service))
	case len(l.Origin) > maxOrigin:
		return fmt.Errorf("an origin address has at most %d bytes, not %d", maxOrigin, len(l.Origin))
	case !utf8.ValidString(l.Service) || !utf8.ValidString(l.Origin):
		return errors.New("the names of a lease are UTF-8") // JSON would change others silently
	case l.Port == 0:
		return errors.New("a lease needs a port")
	}
	return nil
}
