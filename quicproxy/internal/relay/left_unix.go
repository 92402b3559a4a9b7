//go:build unix

package relay

import "syscall"

// TellsLeft says whether HasLeft works on this system.
const TellsLeft = true

// HasLeft reports whether the client behind a socket left, and takes nothing from the socket: it sent a
// reset, or a FIN before anything else. After a request, whether still in the socket or read before (asked),
// a FIN may be a half-close, and the answer is awaited.
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
