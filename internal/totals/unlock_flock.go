//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package totals

import (
	"os"
	"syscall"
)

// unlock gives up bbolt's lock of a file, which its mapping would keep otherwise.
func unlock(file *os.File) { syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }
