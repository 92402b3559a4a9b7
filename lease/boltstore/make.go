package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// makeFile creates the file if it is missing, and does not touch an existing one. The file gets its name when
// it is complete, so that a full disk or a power cut leaves nothing that could not be opened later.
func makeFile(path string, options bbolt.Options) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Size() == 0: // it was never written
		if err := os.Remove(path); err != nil {
			return err
		}
	case info.Size() < 2*int64(os.Getpagesize()) && info.Mode().IsRegular():
		return fmt.Errorf("%w: it has only %d bytes", errDamaged, info.Size())
	default:
		return nil
	}
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	temporary := file.Name()
	defer os.Remove(temporary) // already gone if place renamed it
	if err := file.Close(); err != nil {
		return err
	}
	s, err := openFile(temporary, options)
	if err != nil {
		return err
	}
	if err := s.db.Close(); err != nil {
		return err
	}
	if err := place(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // if it exists, another process was faster
	}
	syncFolder(folder)
	return nil
}

// place gives temporary the name path. It overwrites nothing, except where there are no hard links, as on
// some memory cards, and only if another first start comes at the same moment.
func place(temporary, path string) error {
	if err := os.Link(temporary, path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(temporary, path)
}

// syncFolder makes the name of a new file durable. Not every system can do that with a folder, so errors are
// ignored.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		folder.Sync()
		folder.Close()
	}
}
