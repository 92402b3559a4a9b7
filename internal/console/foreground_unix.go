//go:build unix

package console

import "golang.org/x/sys/unix"

// inForeground reports whether the terminal is this program's now, rather than that of a shell which runs it with & or
// after ^Z.
func inForeground(terminal int) bool {
	group, err := unix.IoctlGetInt(terminal, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
