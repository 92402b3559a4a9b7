//go:build unix

package relay

import "syscall"

// TellsLeft says that this system can tell what HasLeft is about.
const TellsLeft = true

// HasLeft reports whether the other side of a socket left, and takes nothing from it: it sent a reset, or FIN before
// anything else. After a question, in the socket or read before (asked), FIN may be a half-close, and the answer
// is awaited.
func HasLeft(fd uintptr, asked bool) bool {
	var first [1]byte
	n, err := ignoringEINTR(func() (int, error) {
		n, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
		return n, err
	})
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		return true
	case n == 0 && !asked:
		return true
	}
	return wasReset(fd)
}
