package totals

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"apquic/certs"
)

// lockTimeout is how long another process may take to release the file.
const lockTimeout = time.Second

var (
	metaBucket   = []byte("meta")
	daysBucket   = []byte("days")   // counts by Row
	monthsBucket = []byte("months") // bytes by the first day of the month and the node, whose rows may have had to go

	formatKey = []byte("format")
	format    = []byte("1")
)

// stored is how many rows there are, by day, and how many nodes, by the first day of the month.
type stored struct {
	days, months map[Day]int
}

// open opens or makes the file, and reads what was used in the month.
func (t *Totals) open() error {
	t.file.Lock()
	defer t.file.Unlock()
	return t.openLocked()
}

// openLocked is open, with the lock of the file.
func (t *Totals) openLocked() error {
	if err := t.stillRefused(); err != nil {
		return err
	}
	_, missing := os.Stat(t.path)
	err := t.openFile(false)
	if err == nil {
		err = t.loadMonthLocked()
	}
	if err == nil {
		return nil
	}
	t.closeFile()
	if errors.Is(missing, fs.ErrNotExist) {
		os.Remove(t.path) // a part of a file could not be opened later
	}
	err = explain("opening", t.path, err)
	t.refuse(err)
	return err
}

// openFile opens or makes the file, or reads what there is, and checks everything.
func (t *Totals) openFile(readOnly bool) (err error) {
	if info, err := os.Stat(t.path); err == nil && info.Size() > 0 && info.Mode().IsRegular() && info.Size() < 2*int64(os.Getpagesize()) {
		return fmt.Errorf("%w: it has only %d bytes", errDamaged, info.Size())
	}
	options := bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly}
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		t.opened, err = os.OpenFile(name, flag, mode)
		return t.opened, err
	}
	err = t.guard(func() (err error) {
		t.db, err = bbolt.Open(t.path, 0o600, &options)
		return err
	})
	if err != nil {
		t.db = nil
		return err
	}
	return t.guard(func() error {
		empty := false
		t.db.View(func(tx *bbolt.Tx) error {
			name, _ := tx.Cursor().First()
			empty = name == nil
			return nil
		})
		if empty && !readOnly {
			if err := t.db.Update(prepare); err != nil {
				return err
			}
		}
		return t.db.View(t.check)
	})
}

// closeFile closes it, if it is open.
func (t *Totals) closeFile() error {
	if t.db == nil {
		return nil
	}
	db := t.db
	t.db = nil
	return t.guard(db.Close)
}

// prepare gives a new file its buckets.
func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{metaBucket, daysBucket, monthsBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, format)
}

// check reads all that is there, and counts it.
func (t *Totals) check(tx *bbolt.Tx) error {
	meta, days, months := tx.Bucket(metaBucket), tx.Bucket(daysBucket), tx.Bucket(monthsBucket)
	switch {
	case meta == nil:
		return fmt.Errorf("%w: it has no bucket called meta", errFormat)
	case !bytes.Equal(meta.Get(formatKey), format):
		return fmt.Errorf("%w: it has format %.20q, this program knows format %q", errFormat, meta.Get(formatKey), format)
	case days == nil || months == nil:
		return fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	found := stored{make(map[Day]int), make(map[Day]int)}
	for key, data := range all(days) {
		row, err := readKey(key)
		if err == nil {
			_, err = decode(data)
		}
		if err != nil {
			return err
		}
		found.days[row.Day]++
	}
	for key, data := range all(months) {
		row, _, err := readMonthRow(key, data)
		if err != nil {
			return err
		}
		found.months[row.Day]++
	}
	t.stored = found
	return nil
}

// readMonthRow reads how many bytes of a node there were in a month.
func readMonthRow(key, data []byte) (row Row, n uint64, err error) {
	if row, err = readKey(key); err != nil {
		return row, 0, err
	}
	rest, err := number(data, &n)
	if err == nil && (len(rest) > 0 || row.Service != "" || row.Day != row.Day.first()) {
		err = fmt.Errorf("%w: a row is not of a month", errDamaged)
	}
	return row, n, err
}

// all are the records of a bucket in their order.
func all(b *bbolt.Bucket) func(func(key, data []byte) bool) { return from(b, nil) }

// from are those with this key or one behind it.
func from(b *bbolt.Bucket, first []byte) func(func(key, data []byte) bool) {
	return func(yield func(key, data []byte) bool) {
		cursor := b.Cursor()
		for key, data := cursor.Seek(first); key != nil && yield(key, data); key, data = cursor.Next() {
		}
	}
}

// readMonth returns how much of each node there was in a month.
func (t *Totals) readMonth(month Day) (map[certs.NodeID]uint64, error) {
	used := make(map[certs.NodeID]uint64)
	if t.db == nil {
		return used, nil
	}
	err := t.guard(func() error {
		return t.db.View(func(tx *bbolt.Tx) error {
			begin := Row{Day: month}.key()
			for key, data := range from(tx.Bucket(monthsBucket), begin) {
				row, n, err := readMonthRow(key, data)
				if err != nil || row.Day != month {
					return err
				}
				used[row.Node] = n
			}
			return nil
		})
	})
	return used, err
}
