package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"apquic/internal/hint"
)

// LoadKeyIfThere reads the key file path; if it is missing the key is zero.
func LoadKeyIfThere(path string) (PrivateKey, error) {
	line, err := readPrivateLine(path)
	if errors.Is(err, fs.ErrNotExist) {
		return PrivateKey{}, nil
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	key, err := ParsePrivateKey(line)
	if err != nil {
		return PrivateKey{}, hint.Add(fmt.Errorf("key file %s: %w", path, err), "restore %s from a backup, or remove it: it is not the key in use", path)
	}
	return key, nil
}

// SucceedKey replaces the key in the file path with the one in the file next, and copies the old one to the
// file previous. A power cut leaves one or the other in path.
func SucceedKey(path, next, previous string) (PrivateKey, error) {
	key, err := LoadKeyIfThere(next)
	if err != nil {
		return PrivateKey{}, err
	}
	if key.IsZero() {
		return PrivateKey{}, fmt.Errorf("there is no next key in %s", next)
	}
	line, err := readPrivateLine(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	if err := writePrivateFile(previous, line, os.Rename); err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	return key, syncDirectory(filepath.Dir(path))
}
