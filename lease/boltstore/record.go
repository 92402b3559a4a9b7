package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// maxRecord bounds a record, in bytes: the longest names in JSON with every byte escaped, plus the rest.
const maxRecord = 16 << 10

var (
	errDamaged = errors.New("the file is damaged")
	errFormat  = errors.New("the file belongs to another program or version")
)

// record is the encoding of a lease. The node and the service are also in its key; here they are for people,
// and for a check.
type record struct {
	Node      certs.NodeID    `json:"node,omitzero"` // missing: a group
	Service   string          `json:"service"`
	Port      uint16          `json:"port,omitzero"`
	Transport lease.Transport `json:"transport,omitzero"` // missing: tcp
	Domain    string          `json:"domain,omitzero"`    // instead of a port
	Origin    string          `json:"origin"`
	HeldUntil time.Time       `json:"heldUntil,omitzero"` // missing: attached
	Kept      bool            `json:"kept,omitzero"`
	Pinned    bool            `json:"pinned,omitzero"`
	Reserved  bool            `json:"reserved,omitzero"`
	Revision  uint64          `json:"revision"`
}

func encodeKey(key lease.Key) []byte {
	return append(key.Node[:], key.Service...)
}

// encodeEndpoint is two bytes for a port, more for a domain.
func encodeEndpoint(e lease.Endpoint) []byte {
	if e.Domain != "" {
		return []byte(e.Domain)
	}
	return encodePort(e.Port)
}

func encodePort(port uint16) []byte {
	return binary.BigEndian.AppendUint16(nil, port)
}

func encode(l lease.Lease) ([]byte, error) {
	return json.Marshal(record{
		Node: l.Node, Service: l.Service, Port: l.Port, Transport: l.Transport, Domain: l.Domain, Origin: l.Origin,
		HeldUntil: l.HeldUntil.UTC(), Kept: l.Kept, Pinned: l.Pinned, Reserved: l.Reserved, Revision: l.Revision,
	})
}

// ended is the encoding of a lease that has ended. The port is also in its key.
type ended struct {
	Port    uint16       `json:"port"`
	Node    certs.NodeID `json:"node,omitzero"`
	Service string       `json:"service"`
	At      time.Time    `json:"at"`
	Reason  lease.Reason `json:"reason"`
}

func encodeEnded(e lease.Ended) ([]byte, error) {
	return json.Marshal(ended{Port: e.Port, Node: e.Node, Service: e.Service, At: e.At.UTC(), Reason: e.Reason})
}

// decodeEnded decodes the result of encodeEnded stored under key.
func decodeEnded(key, data []byte) (lease.Ended, error) {
	e, err := parseEnded(data)
	if err == nil && !bytes.Equal(encodePort(e.Port), key) {
		return lease.Ended{}, fmt.Errorf("%w: the history of port %d is under another key", errDamaged, e.Port)
	}
	return e, err
}

func parseEnded(data []byte) (lease.Ended, error) {
	var r ended
	if err := decodeJSON(data, &r); err != nil {
		return lease.Ended{}, err
	}
	e := lease.Ended{Key: lease.Key{Node: r.Node, Service: r.Service}, Port: r.Port, At: r.At, Reason: r.Reason}
	if err := e.Validate(); err != nil {
		return lease.Ended{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return e, nil
}

// decodeJSON decodes a record strictly, since an unknown field may mean anything.
func decodeJSON(data []byte, record any) error {
	if len(data) > maxRecord {
		return fmt.Errorf("%w: a record has %d bytes", errDamaged, len(data))
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(record); err != nil {
		return fmt.Errorf("%w: a record cannot be read: %w", errDamaged, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows a record", errDamaged)
	}
	return nil
}

// decode reads the record under key.
func decode(key, data []byte) (lease.Lease, error) {
	l, err := parse(data)
	if err == nil && !bytes.Equal(encodeKey(l.Key), key) {
		return lease.Lease{}, fmt.Errorf("%w: the record of %v is under another key", errDamaged, l.Endpoint())
	}
	return l, err
}

func parse(data []byte) (lease.Lease, error) {
	var r record
	if err := decodeJSON(data, &r); err != nil {
		return lease.Lease{}, err
	}
	l := lease.Lease{
		Key: lease.Key{Node: r.Node, Service: r.Service}, Port: r.Port, Transport: r.Transport, Domain: r.Domain, Origin: r.Origin,
		HeldUntil: r.HeldUntil, Kept: r.Kept, Pinned: r.Pinned, Reserved: r.Reserved, Revision: r.Revision,
	}
	switch err := l.Validate(); {
	case err != nil:
		return lease.Lease{}, fmt.Errorf("%w: %w", errDamaged, err)
	case l.Revision == 0:
		return lease.Lease{}, fmt.Errorf("%w: the record of %v has no revision", errDamaged, l.Endpoint())
	}
	return l, nil
}
