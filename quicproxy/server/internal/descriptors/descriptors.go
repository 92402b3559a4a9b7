// Package descriptors says that something needs an open file, but none is available, and what to do about it.
//
// It must not open or count anything.
package descriptors

import (
	"errors"
	"fmt"
	"syscall"

	"apquic/internal/machine"
	"apquic/lease"
)

// Hint is what an operator can do about a server that has run out of descriptors.
const Hint = "allow the server more files: LimitNOFILE=65536 in its unit file, or ulimit -n 65536 before it starts"

// Error says what needs one. It is lease.ErrExhausted.
type Error struct{ What string }

func (e *Error) Error() string {
	return fmt.Sprintf("%s: the server may have %d files open (ulimit -n)", e.What, machine.Descriptors())
}

// Hint is for people.
func (e *Error) Hint() string { return Hint }

// Is makes it lease.ErrExhausted.
func (e *Error) Is(target error) bool { return target == lease.ErrExhausted }

// IsShortage reports whether the system has no descriptor for the process.
func IsShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
