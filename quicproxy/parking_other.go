//go:build !unix

package quicproxy

const tellsLeft = false

func hasLeft(uintptr, bool) bool { return false }
