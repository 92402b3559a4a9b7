//go:build !unix

package certs

import "os"

// giveTo does nothing: files belong to who makes them.
func giveTo(*os.File, string) error { return nil }
