//go:build !unix

package files

// OwnerHint is empty: who may use a file is not a matter of its owner alone.
func OwnerHint(error) string { return "" }
