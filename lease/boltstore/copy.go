package boltstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"apquic/internal/boltcopy"
	"apquic/lease"
)

// A copy of a store (package boltcopy) has "lease" or "ended" and a record in each line.
const (
	header    = "leases "
	leaseLine = "lease "
	endedLine = "ended "
)

// Export writes a copy of what is in a store, and returns how many leases that are.
func Export(ctx context.Context, from lease.Store, w io.Writer) (int, error) {
	// What ends in between is in neither.
	history, err := from.History(ctx)
	if err != nil {
		return 0, err
	}
	leases, err := from.List(ctx)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s%s\n", header, format)
	for _, l := range leases {
		data, err := encode(l)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(out, "%s%s\n", leaseLine, data)
	}
	for _, e := range history {
		data, err := encodeEnded(e)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(out, "%s%s\n", endedLine, data)
	}
	return len(leases), out.Flush()
}

// Import makes the new file name, which open opens, of a copy. An error leaves a part of it.
func Import(open func(name string, flags int, mode os.FileMode) (*os.File, error), name string, from io.Reader) error {
	return boltcopy.Format{
		What: "the leases", First: header + string(format), Other: errFormat, MaxLine: maxRecord + len(leaseLine) + 1, Create: create, Line: copyLine,
	}.Import(open, name, from)
}

// copyLine adds what a line says. Nothing is there twice.
func copyLine(tx *bbolt.Tx, line []byte) error {
	leases, ports, history := tx.Bucket(leasesBucket), tx.Bucket(portsBucket), tx.Bucket(historyBucket)
	if data, ok := bytes.CutPrefix(line, []byte(leaseLine)); ok {
		l, err := parse(data)
		if err != nil {
			return err
		}
		key, endpoint := encodeKey(l.Key), encodeEndpoint(l.Endpoint())
		if leases.Get(key) != nil || ports.Get(endpoint) != nil {
			return fmt.Errorf("%w: %v or its service is there twice", errDamaged, l.Endpoint())
		}
		if data, err = encode(l); err != nil {
			return err
		}
		return errors.Join(leases.SetSequence(max(leases.Sequence(), l.Revision)), leases.Put(key, data), ports.Put(endpoint, key))
	}
	data, ok := bytes.CutPrefix(line, []byte(endedLine))
	if !ok {
		return fmt.Errorf("%w: a line is neither a lease nor the end of one", errDamaged)
	}
	e, err := parseEnded(data)
	if err != nil {
		return err
	}
	if history.Get(encodePort(e.Port)) != nil {
		return fmt.Errorf("%w: the history of port %d is there twice", errDamaged, e.Port)
	}
	if data, err = encodeEnded(e); err != nil {
		return err
	}
	return history.Put(encodePort(e.Port), data)
}
