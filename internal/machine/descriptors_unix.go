//go:build unix

package machine

import "syscall"

// Descriptors is how many files and sockets the process may have open. Go raises the soft limit to the hard
// one when a program starts.
func Descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return unlimited
	}
	return int(min(uint64(limit.Cur), unlimited))
}
