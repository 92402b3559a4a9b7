// Package boltcopy makes a bbolt file of a copy, which is text: a line with the format, and then a line for each record.
// Such a copy depends neither on the page size of a machine nor on bbolt, which is not made to read what others wrote.
//
// It must not know what a line says.
package boltcopy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

const (
	lockTimeout = time.Second
	// Batch is how many lines a transaction has.
	Batch = 1000
)

// Format is that of a copy.
type Format struct {
	What    string                        // what a copy has, for errors, such as "the leases"
	First   string                        // its first line
	Other   error                         // what an error wraps if another line comes first
	MaxLine int                           // bytes
	Create  func(*bbolt.Tx) error         // makes the buckets
	Line    func(*bbolt.Tx, []byte) error // adds what a line says
}

// Import makes the new file name, which open opens, of a copy. An error leaves a part of it.
func (f Format) Import(open func(name string, flags int, mode os.FileMode) (*os.File, error), name string, from io.Reader) (err error) {
	// Nobody reads the file before it is complete, so it is synced once, at the end.
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: true, OpenFile: open})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Update(f.Create); err != nil {
		return err
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, f.MaxLine)
	if !lines.Scan() || lines.Text() != f.First {
		return fmt.Errorf("%w: %s begin with %.20q", f.Other, f.What, lines.Text())
	}
	for more := true; more; {
		err := db.Update(func(tx *bbolt.Tx) error {
			for range Batch {
				if more = lines.Scan(); !more {
					return lines.Err()
				}
				if err := f.Line(tx, lines.Bytes()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", f.What, err)
		}
	}
	return db.Sync()
}
