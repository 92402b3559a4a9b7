package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// WriteBeside writes a new file beside the one with a name in a folder, for its owner alone, and returns what it is
// called. RemoveLeftovers removes it at the next start if nobody else does.
func WriteBeside(folder, name string, write func(io.Writer) error) (written string, err error) {
	file, err := os.CreateTemp(folder, "."+name+".tmp-*")
	if err != nil {
		return "", err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return filepath.Base(file.Name()), nil
}
