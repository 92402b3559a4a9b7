package public

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"apquic/internal/machine"
	"apquic/lease"
)

// descriptorError says that something needs an open file, but none is available. It is lease.ErrExhausted.
type descriptorError struct {
	what  string
	limit int
}

func (e *descriptorError) Error() string {
	return fmt.Sprintf("%s: the server may have %d files open (ulimit -n)", e.what, e.limit)
}

func (e *descriptorError) Hint() string { return descriptorHint }

func (e *descriptorError) Is(target error) bool { return target == lease.ErrExhausted }

// descriptorHint is what an operator can do about a server that has run out of descriptors.
const descriptorHint = "allow the server more files: LimitNOFILE=65536 in its unit file, or ulimit -n 65536 before it starts"

// isShortage reports whether the system has no descriptor for the process.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// noDescriptor returns, and logs, the error of a lease that would need a descriptor.
func (s *Listeners) noDescriptor() error {
	err := &descriptorError{"no further public port can be opened", machine.Descriptors()}
	s.log.Error(err.Error(), "hint", err.Hint())
	return err
}

// acceptFailed logs why no public connection can be accepted. Without descriptors all ports keep failing.
func (s *Listeners) acceptFailed(err error, pause time.Duration, where slog.Attr) {
	if isShortage(err) {
		err := &descriptorError{"a public connection cannot be accepted", machine.Descriptors()}
		s.log.Error(err.Error(), "hint", err.Hint())
		return
	}
	s.log.Warn("accepting a public connection failed", where, "err", err, "again_in", pause)
}

// CheckDescriptors tells the operator at the start that descriptors will not suffice for that many ports. It counts
// one for each, since nobody knows yet how many will be for tcp+udp.
func (s *Listeners) CheckDescriptors(ports int) {
	if leasable := s.config.Clients.MayReserve(); ports > leasable {
		s.log.Warn(fmt.Sprintf("only %d of the %d public ports can be leased, or half as many for tcp+udp: the server may have %d files open (ulimit -n)",
			leasable, ports, machine.Descriptors()), "hint", descriptorHint)
	}
}
