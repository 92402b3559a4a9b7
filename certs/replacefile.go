package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"apquic/internal/hint"
)

// ReplaceFile replaces the content of the file path, which keeps its owner and mode; a new file is for its
// owner alone. A power cut leaves the old content or the new one. A symbolic link is replaced, not followed.
func ReplaceFile(path string, content []byte) (err error) {
	directory := filepath.Dir(path)
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".tmp-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(takeAfter(file, path), writeAll(file, content), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(directory)
}

func writeAll(file *os.File, content []byte) error {
	_, err := file.Write(content)
	return err
}

// takeAfter gives file the owner and mode of the file path, or the owner of its directory if that is missing.
func takeAfter(file *os.File, path string) error {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return GiveTo(file, filepath.Dir(path))
	}
	return errors.Join(file.Chmod(info.Mode().Perm()), GiveTo(file, path))
}

// checkWriters returns why a file or directory cannot be trusted: others than its owner can write it. Whoever
// can write the list of nodes, or replace it, can get in.
func checkWriters(path string, info fs.FileInfo) error {
	// Windows has access lists instead, and reports 0666 for every file.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o022 != 0 {
		return hint.Add(fmt.Errorf("%s: mode %04o, so others than its owner can write it", path, mode), "chmod go-w %s", path)
	}
	return nil
}

// CheckDataDir returns why directory cannot be trusted: others than its owner can write it, or those of its
// files that say who may do what.
func CheckDataDir(directory string, files ...string) error {
	info, err := os.Stat(directory)
	if err != nil {
		return fmt.Errorf("the data directory: %w", err)
	}
	wrong := []error{checkWriters(directory, info)}
	for _, name := range files {
		path := filepath.Join(directory, name)
		if info, err := os.Stat(path); err == nil {
			wrong = append(wrong, checkWriters(path, info))
		} else if !errors.Is(err, fs.ErrNotExist) {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}
