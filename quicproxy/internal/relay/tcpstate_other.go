//go:build unix && !linux

package relay

// wasReset cannot be told here: when a write that waits at the same time takes the error of a reset, the
// relay sees a FIN.
func wasReset(uintptr) bool { return false }
