package totals

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"apquic/certs"
	"apquic/internal/boltcopy"
	"apquic/internal/usage"
)

// A copy (package boltcopy) has a row in each line, in JSON.
const (
	header  = "totals "
	maxLine = 4 << 10 // bytes
)

// line is a row, or what was used in a month.
type line struct {
	Day     Day           `json:"day"`
	Node    certs.NodeID  `json:"node,omitzero"`
	Service string        `json:"service,omitempty"`
	Counts  *usage.Counts `json:"counts,omitempty"` // nil: it is of a month
	Month   uint64        `json:"month,omitempty"`  // bytes
}

// Export writes a copy of the file, with what was not written yet.
func (t *Totals) Export(w io.Writer) error {
	t.Settle()
	if err := t.Write(); err != nil {
		return err
	}
	return t.export(w)
}

// export writes a copy of the file.
func (t *Totals) export(w io.Writer) error {
	t.file.Lock()
	defer t.file.Unlock()
	if t.closed {
		return errClosed
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s%s\n", header, format)
	if t.db != nil {
		err := t.guard(func() error {
			return t.db.View(func(tx *bbolt.Tx) error { return exportRows(tx, json.NewEncoder(out)) })
		})
		if err != nil {
			return explain("reading", t.path, err)
		}
	}
	return out.Flush()
}

func exportRows(tx *bbolt.Tx, out *json.Encoder) error {
	for key, data := range all(tx.Bucket(daysBucket)) {
		row, err := readKey(key)
		if err != nil {
			return err
		}
		n, err := decode(data)
		if err != nil {
			return err
		}
		if err := out.Encode(line{Day: row.Day, Node: row.Node, Service: row.Service, Counts: &n}); err != nil {
			return err
		}
	}
	for key, data := range all(tx.Bucket(monthsBucket)) {
		row, n, err := readMonthRow(key, data)
		if err != nil {
			return err
		}
		if err := out.Encode(line{Day: row.Day, Node: row.Node, Month: n}); err != nil {
			return err
		}
	}
	return nil
}

// Import makes the new file name, which open opens, of a copy. An error leaves a part of it.
func Import(open func(name string, flags int, mode os.FileMode) (*os.File, error), name string, from io.Reader) error {
	return boltcopy.Format{
		What: "the totals", First: header + string(format), Other: errFormat, MaxLine: maxLine, Create: prepare, Line: copyLine,
	}.Import(open, name, from)
}

// copyLine adds what a line says. Nothing is there twice.
func copyLine(tx *bbolt.Tx, text []byte) error {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	row := Row{l.Day, l.Node, l.Service}
	bucket, data := tx.Bucket(daysBucket), []byte(nil)
	switch {
	case len(l.Service) > maxService:
		return fmt.Errorf("%w: the name of a service has %d bytes", errDamaged, len(l.Service))
	case l.Counts != nil && l.Month == 0:
		data = encode(*l.Counts)
	case l.Counts == nil && l.Service == "" && l.Day == l.Day.first():
		bucket, data = tx.Bucket(monthsBucket), binary.AppendUvarint(nil, l.Month)
	default:
		return fmt.Errorf("%w: a line is neither of a day nor of a month", errDamaged)
	}
	if bucket.Get(row.key()) != nil {
		return fmt.Errorf("%w: a row of %v is there twice", errDamaged, l.Day)
	}
	return bucket.Put(row.key(), data)
}
