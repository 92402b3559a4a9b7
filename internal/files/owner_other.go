//go:build !unix

package files

// OwnerHint is empty: access to a file does not depend on its owner alone.
func OwnerHint(error) string { return "" }
