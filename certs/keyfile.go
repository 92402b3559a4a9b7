package certs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"apquic/internal/hint"
)

const (
	maxPrivateFile = 4096 // bytes of a file that holds one line
	minSecretSize  = 16   // bytes; less could be guessed
	maxSecretSize  = 1024
)

// LoadOrCreateKey reads the private key in the file path, one line in a form that [ParsePrivateKey] reads. It
// creates a missing file with a new key: 64 hexadecimal digits, mode 0600, in a directory that is created
// 0700 if it is missing. If several programs start at once, one makes the key and all get it.
//
// A file that others can read, that is damaged, or that holds a published key is an error and is not changed.
func LoadOrCreateKey(path string) (PrivateKey, error) {
	line, err := loadOrCreateLine(path, func() (string, error) {
		key, err := GenerateKey()
		if err != nil {
			return "", err
		}
		return hex.EncodeToString(key.key().Seed()), nil
	})
	if err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	return parseKeyLine(path, line)
}

// parseKeyLine reads the line of the key file path.
func parseKeyLine(path, line string) (PrivateKey, error) {
	key, err := ParsePrivateKey(line)
	if err == nil {
		return key, nil
	}
	err = fmt.Errorf("key file %s: %w", path, err)
	if _, published := errors.AsType[*PublishedKeyError](err); published {
		return PrivateKey{}, err
	}
	return PrivateKey{}, damaged(err, path)
}

// LoadKey is [LoadOrCreateKey] for a key that must exist: otherwise the error is fs.ErrNotExist.
func LoadKey(path string) (PrivateKey, error) {
	line, err := readPrivateLine(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("key file: %w", err)
	}
	return parseKeyLine(path, line)
}

// LoadOrCreateSecret is [LoadOrCreateKey] for size random bytes, stored as one line of hexadecimal digits.
// Size is 16 to 1024.
func LoadOrCreateSecret(path string, size int) ([]byte, error) {
	if err := checkSecretSize(size); err != nil {
		return nil, err
	}
	line, err := loadOrCreateLine(path, func() (string, error) { return hex.EncodeToString(newSecret(size)), nil })
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	// The decoder's own error would show a character of the secret.
	secret, err := hex.DecodeString(line)
	if err != nil || len(secret) != size {
		return nil, damaged(fmt.Errorf("secret file %s: want %d hexadecimal digits in one line", path, hex.EncodedLen(size)), path)
	}
	return secret, nil
}

func checkSecretSize(size int) error {
	if size < minSecretSize || size > maxSecretSize {
		return fmt.Errorf("secret of %d bytes: want %d to %d", size, minSecretSize, maxSecretSize)
	}
	return nil
}

func newSecret(size int) []byte {
	secret := make([]byte, size)
	rand.Read(secret) // never fails, as documented
	return secret
}

func damaged(err error, path string) error {
	return hint.Add(err, "restore %s from a backup, or remove it: a new one is made at the next start", path)
}

// loadOrCreateLine returns the line in the file path; fresh makes it if the file is missing.
func loadOrCreateLine(path string, fresh func() (string, error)) (string, error) {
	line, err := readPrivateLine(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return line, err
	}
	if line, err = fresh(); err != nil {
		return "", err
	}
	if err = writePrivateFile(path, line, placeNew); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	// The file decides: another program may have been faster.
	return readPrivateLine(path)
}

// readPrivateLine returns the only line of a file that nobody else can read.
func readPrivateLine(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	// Windows has access lists instead, and reports 0666 for every file.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return "", hint.Add(fmt.Errorf("%s: mode %04o, so others than its owner can use it", path, mode), "chmod 600 %s", path)
	}
	if info.Size() > maxPrivateFile {
		return "", damaged(fmt.Errorf("%s: %d bytes, want one short line", path, info.Size()), path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(content))
	if line == "" {
		return "", damaged(fmt.Errorf("%s: the file is empty", path), path)
	}
	return line, nil
}

// writePrivateFile writes line to a temporary file beside path, mode 0600, and lets place move it to path
// once it is safely on disk. A power cut leaves path unchanged or complete, and at worst a temporary file
// that nobody reads.
func writePrivateFile(path, line string, place func(temporary, path string) error) error {
	directory := filepath.Dir(path)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // already gone if place renamed it
	_, err = file.WriteString(line + "\n")
	if err = errors.Join(err, GiveTo(file, directory), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(directory)
}

// placeNew gives temporary the name path, or fails with fs.ErrExist if the name is taken.
func placeNew(temporary, path string) error {
	if err := os.Link(temporary, path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return claimAndRename(temporary, path)
}

// claimAndRename is for file systems without hard links, such as those of Android and memory cards: whoever
// creates the empty file path may replace it. A power cut in between leaves the empty file, which the next
// start reports.
func claimAndRename(temporary, path string) error {
	claim, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(claim.Close(), os.Rename(temporary, path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// syncDirectory makes a new name in a directory survive a power cut, where the system can.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	err = directory.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}
