package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"apquic/internal/hint"
	"apquic/lease"
)

// lockTimeout is how long Open waits for another process to release the file.
const lockTimeout = time.Second

var (
	metaBucket    = []byte("meta")
	leasesBucket  = []byte("leases")
	portsBucket   = []byte("ports") // and domains
	historyBucket = []byte("history")

	formatKey = []byte("format")
	format    = []byte("3") // of this file; any other is refused
)

// formerly lists the formats that are upgraded: their records lack some fields, and the first also lacks a
// bucket.
var formerly = [][]byte{[]byte("1"), []byte("2")}

// store is the file. Its fields never change.
type store struct {
	db   *bbolt.DB
	path string
}

// Open opens the file, or creates it for its owner alone (mode 0600), and checks everything in it. Only one
// process at a time can have it open. Errors say what is wrong with the file and, in a Hint method, what to
// do.
func Open(path string) (lease.Store, error) {
	return open(path, bbolt.Options{})
}

func open(path string, options bbolt.Options) (*store, error) {
	if err := makeFile(path, options); err != nil {
		return nil, (&store{path: path}).explain("making", err)
	}
	s, err := openFile(path, options)
	if err != nil {
		return nil, (&store{path: path}).explain("opening", err)
	}
	return s, nil
}

// openFile opens an existing file.
func openFile(path string, options bbolt.Options) (*store, error) {
	var file *os.File
	options.Timeout = lockTimeout
	options.FreelistType = bbolt.FreelistMapType
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	s := &store{path: path}
	err := guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &options)
		return err
	})
	if err != nil {
		if file != nil {
			file.Close() // bbolt leaves it open and locked when it panics
		}
		return nil, err
	}
	if err := s.prepare(); err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// prepare gives a new file its buckets, and reads all of an old one.
func (s *store) prepare() error {
	err := s.update(context.Background(), func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return create(tx)
		}
		got := meta.Get(formatKey)
		if slices.ContainsFunc(formerly, func(former []byte) bool { return bytes.Equal(got, former) }) {
			if _, err := tx.CreateBucketIfNotExists(historyBucket); err != nil {
				return err
			}
			return meta.Put(formatKey, format)
		}
		if !bytes.Equal(got, format) {
			return fmt.Errorf("%w: it has format %.20q, this program knows format %q", errFormat, got, format)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err = s.list(context.Background()); err != nil {
		return err
	}
	_, err = s.history(context.Background())
	return err
}

func create(tx *bbolt.Tx) error {
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%w: it has a bucket %.20q but none called meta", errFormat, name)
	}
	for _, name := range [][]byte{metaBucket, leasesBucket, portsBucket, historyBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, format)
}

// guard turns bbolt's reaction to a damaged file into an error: it panics, or reads beyond the mapping
// because the file is too short.
func guard(access func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return access()
}

// explain adds the file, what was being done and, if there is something to do about it, a hint.
func (s *store) explain(doing string, err error) error {
	if err == nil || errors.Is(err, lease.ErrConflict) || errors.Is(err, lease.ErrTaken) {
		return err
	}
	advice := ""
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		err, advice = errors.New("another process has it open"), "another apquic-server is using this data directory: stop it, or choose another with --data-dir"
	case errors.Is(err, errFormat):
		advice = "use the version of apquic-server that wrote the file, or choose another --data-dir"
	case errors.Is(err, errDamaged), errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		advice = "restore the file from a backup, or move it away: then every node gets a new port"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room on it"
	case errors.Is(err, fs.ErrPermission):
		advice = "let the user of apquic-server read and write the file and its folder"
	}
	err = fmt.Errorf("%s the lease file %s: %w", doing, s.path, err)
	if advice == "" {
		return err
	}
	return hint.Add(err, "%s", advice)
}
