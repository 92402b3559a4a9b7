package totals

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"apquic/certs"
	"apquic/internal/usage"
)

// Query says what is summed up.
type Query struct {
	Node     certs.NodeID // zero: any
	Service  string       // empty: any
	From, To Day          // both included
	// By says what has rows of its own; all false: there is one row.
	ByDay, ByNode, ByService bool
}

// Total is a sum. What Query does not tell apart is zero in it.
type Total struct {
	Row
	usage.Counts
}

// Sum returns what has passed, also what is not written yet: the newest day first, then by node and service; of rows
// without a day, those with the most bytes first.
func (t *Totals) Sum(q Query) ([]Total, error) {
	t.Settle()
	sums := make(map[Row]usage.Counts)
	add := func(row Row, n usage.Counts) {
		if place, ok := q.place(row); ok {
			sums[place] = sums[place].Plus(n)
		}
	}
	t.file.Lock()
	defer t.file.Unlock() // what is being written is neither missing nor there twice
	if t.closed {
		return nil, errClosed
	}
	err := t.read(q, add)
	t.mu.Lock()
	for row, n := range t.pending {
		add(row, n)
	}
	t.mu.Unlock()
	totals := make([]Total, 0, len(sums))
	for row, n := range sums {
		totals = append(totals, Total{row, n})
	}
	slices.SortFunc(totals, func(a, b Total) int {
		most := 0
		if !q.ByDay {
			most = cmp.Compare(b.Bytes(), a.Bytes())
		}
		return cmp.Or(cmp.Compare(b.Day, a.Day), most, bytes.Compare(a.Node[:], b.Node[:]), cmp.Compare(a.Service, b.Service))
	})
	return totals, explain("reading", t.path, err)
}

// place returns the sum to which a row belongs; false: to none.
func (q Query) place(row Row) (Row, bool) {
	if row.Day < q.From || row.Day > q.To || !q.Node.IsZero() && row.Node != q.Node || q.Service != "" && row.Service != q.Service {
		return Row{}, false
	}
	var place Row
	if q.ByDay {
		place.Day = row.Day
	}
	if q.ByNode {
		place.Node = row.Node
	}
	if q.ByService {
		place.Service = row.Service
	}
	return place, true
}

func (t *Totals) read(q Query, add func(Row, usage.Counts)) error {
	if t.db == nil {
		return nil
	}
	return t.guard(func() error {
		return t.db.View(func(tx *bbolt.Tx) error {
			for key, data := range from(tx.Bucket(daysBucket), Row{Day: q.From}.key()) {
				row, err := readKey(key)
				if err != nil || row.Day > q.To {
					return err
				}
				n, err := decode(data)
				if err != nil {
					return err
				}
				add(row, n)
			}
			return nil
		})
	})
}

// Read opens the file of a server that does not run, and changes nothing. If there is none, nothing has passed.
func Read(path string) (*Totals, error) {
	t := newTotals(path, slog.New(slog.DiscardHandler), usual)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err := t.openFile(true); err != nil {
		t.closeFile()
		return nil, explain("opening", path, err)
	}
	if err := t.loadMonth(); err != nil {
		t.closeFile()
		return nil, err
	}
	return t, nil
}
