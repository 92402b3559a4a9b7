// Package file reads configuration files.
//
// It must not know what is in them.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

// ErrDirectory and ErrTooBig are why a path is not that of a configuration file.
var (
	ErrDirectory = errors.New("it is a directory")
	ErrTooBig    = fmt.Errorf("it has more than %d bytes", jsonc.MaxSize)
)

// Read reads a whole configuration file.
func Read(path string) ([]byte, error) {
	data, err := readBounded(path)
	if err == nil {
		return data, nil
	}
	// The text has the path once, as it was given.
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	what := fmt.Errorf("the configuration file %s cannot be read: %w", path, err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hint.Add(what, "check the path after -c: a relative one starts at the current directory")
	case errors.Is(err, fs.ErrPermission):
		return nil, hint.Add(what, "let this user read the file, or start the program as its owner")
	case errors.Is(err, ErrDirectory):
		return nil, hint.Add(what, "name the file in it, such as %s%capquic.json", path, os.PathSeparator)
	case errors.Is(err, ErrTooBig):
		return nil, hint.Add(what, "check the path after -c: a configuration has only a few lines")
	}
	return nil, what
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, ErrDirectory
	}
	data, err := io.ReadAll(io.LimitReader(file, jsonc.MaxSize+1))
	if err == nil && len(data) > jsonc.MaxSize {
		err = ErrTooBig
	}
	return data, err
}
