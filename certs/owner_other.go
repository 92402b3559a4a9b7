//go:build !unix

package certs

import "os"

// GiveTo does nothing: files belong to whoever creates them.
func GiveTo(*os.File, string) error { return nil }

// openToAppend opens the file path, and creates it if it is missing.
func openToAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
}
