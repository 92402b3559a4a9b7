package totals

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"apquic/internal/usage"
)

// Write writes what is not written yet, and forgets what has become too much. What cannot be written waits.
func (t *Totals) Write() error {
	t.file.Lock()
	defer t.file.Unlock()
	if t.closed {
		return nil
	}
	if t.db == nil {
		if err := t.openLocked(); err != nil {
			return err
		}
	}
	taken := t.take()
	if len(taken) == 0 {
		return nil
	}
	w := writer{most: t.most, stored: stored{maps.Clone(t.stored.days), maps.Clone(t.stored.months)}}
	err := t.guard(func() error { return t.db.Update(func(tx *bbolt.Tx) error { return w.write(tx, taken) }) })
	if err != nil {
		if t.giveBack(taken); errors.Is(err, errDamaged) {
			t.closeFile() // to use another one once it is there
		}
		return explain("writing", t.path, err)
	}
	t.stored = w.stored
	return nil
}

// writer is one change of the file.
type writer struct {
	most         bounds
	stored       stored // after it
	days, months *bbolt.Bucket
}

func (w *writer) write(tx *bbolt.Tx, taken map[Row]usage.Counts) error {
	w.days, w.months = tx.Bucket(daysBucket), tx.Bucket(monthsBucket)
	rows := slices.SortedFunc(maps.Keys(taken), func(a, b Row) int { return bytes.Compare(a.key(), b.key()) })
	for _, row := range rows {
		if err := w.add(row, taken[row]); err != nil {
			return err
		}
		if err := w.addToMonth(row, taken[row].Bytes()); err != nil {
			return err
		}
	}
	if err := trim(w.days, w.stored.days, w.most.days, w.most.rows); err != nil {
		return err
	}
	return trim(w.months, w.stored.months, w.most.months, w.most.rows)
}

// add adds counts to a row, or to the one of all services of the node if there are too many, and to the one of all
// nodes if a day alone has too many.
func (w *writer) add(row Row, n usage.Counts) error {
	if of := (Row{Day: row.Day, Node: row.Node}); w.days.Get(row.key()) == nil && !row.Node.IsZero() && w.services(of) >= w.most.services {
		row = of
	}
	if w.days.Get(row.key()) == nil && w.stored.days[row.Day] >= w.most.rows-1 {
		row = Row{Day: row.Day}
	}
	key := row.key()
	if data := w.days.Get(key); data != nil {
		before, err := decode(data)
		if err != nil {
			return err
		}
		n = n.Plus(before)
	} else {
		w.stored.days[row.Day]++
	}
	return w.days.Put(key, encode(n))
}

// services counts those of a node on a day that have a row.
func (w *writer) services(of Row) (n int) {
	begin := of.key()
	for key := range from(w.days, begin) {
		if !bytes.HasPrefix(key, begin) {
			break
		}
		if len(key) > len(begin) {
			n++
		}
	}
	return n
}

// addToMonth adds bytes to those of a node.
func (w *writer) addToMonth(row Row, n uint64) error {
	if n == 0 || row.Node.IsZero() {
		return nil
	}
	month := row.Day.first()
	key := Row{Day: month, Node: row.Node}.key()
	data := w.months.Get(key)
	if data == nil {
		if w.stored.months[month] >= w.most.rows {
			return nil
		}
		w.stored.months[month]++
	} else {
		_, before, err := readMonthRow(key, data)
		if err != nil {
			return err
		}
		n = usage.Counts{In: n, Out: before}.Bytes()
	}
	return w.months.Put(key, binary.AppendUvarint(nil, n))
}

// trim deletes the oldest days, but never the newest one, until there are no more days and rows than may be. It goes by
// the days of which there are rows: a clock that was wrong once must not make them all look old.
func trim(b *bbolt.Bucket, rows map[Day]int, days, most int) error {
	sum := 0
	for _, n := range rows {
		sum += n
	}
	for _, day := range slices.Sorted(maps.Keys(rows)) {
		if len(rows) <= 1 || len(rows) <= days && sum <= most {
			return nil
		}
		sum -= rows[day]
		delete(rows, day)
		if err := deleteDay(b, day); err != nil {
			return err
		}
	}
	return nil
}

func deleteDay(b *bbolt.Bucket, day Day) error {
	begin := binary.BigEndian.AppendUint32(nil, uint32(day))
	cursor := b.Cursor()
	for key, _ := cursor.Seek(begin); bytes.HasPrefix(key, begin); key, _ = cursor.Seek(begin) {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}
