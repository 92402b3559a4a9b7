//go:build !unix

package relay

// TellsLeft says whether HasLeft works on this system.
const TellsLeft = false

// HasLeft does not work here.
func HasLeft(uintptr, bool) bool { return false }
