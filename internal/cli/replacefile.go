package cli

import (
	"errors"
	"os"
	"path/filepath"
)

// ReplaceFile writes a file that may be lost, for its owner alone: whoever reads it finds the old content or
// the new one, but nothing is synced. Its temporary file has a name that nobody can know before, so that
// nobody can have laid a link there. Secrets are written by package certs.
func ReplaceFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
