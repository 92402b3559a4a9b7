package cli

import "os"

// ReplaceFile writes a file that may be lost, for its owner alone: whoever reads it finds the old content or the
// new one, but nothing is synced. Secrets are written by package certs.
func ReplaceFile(path string, data []byte) error {
	temporary := path + "~"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
