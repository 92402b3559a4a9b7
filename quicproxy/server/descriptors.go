package server

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"apquic/internal/machine"
	"apquic/lease"
)

// descriptorError says that something needs an open file that cannot be had. It is lease.ErrExhausted.
type descriptorError struct {
	what  string
	limit int
}

func (e *descriptorError) Error() string {
	return fmt.Sprintf("%s: the server may have %d files open (ulimit -n)", e.what, e.limit)
}

func (e *descriptorError) Hint() string { return descriptorHint }

func (e *descriptorError) Is(target error) bool { return target == lease.ErrExhausted }

const descriptorHint = "allow the server more files: LimitNOFILE=65536 in its unit file, or ulimit -n 65536 before its start"

// isShortage reports whether the system has no descriptor for the process.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// noDescriptor is the error of a lease for which there is none.
func (s *Server) noDescriptor() error {
	err := &descriptorError{"no further public port can be opened", machine.Descriptors()}
	s.log.Error(err.Error(), "hint", err.Hint())
	return err
}

// acceptFailed logs why no public connection can be accepted. For want of descriptors all ports fail again and again.
func (p *publicListener) acceptFailed(err error, pause time.Duration) {
	if isShortage(err) {
		err := &descriptorError{"a public connection cannot be accepted", machine.Descriptors()}
		p.server.log.Error(err.Error(), "hint", err.Hint())
		return
	}
	p.server.log.Warn("accepting a public connection failed", "port", p.port, "err", err, "again_in", pause)
}

// checkDescriptors tells the operator at the start what will be missed later.
func (s *Server) checkDescriptors() {
	if size := s.config.Ports.Size(); size > s.clients.MayLend() {
		s.log.Warn(fmt.Sprintf("only %d of the %d public ports can be lent: the server may have %d files open (ulimit -n)",
			s.clients.MayLend(), size, machine.Descriptors()), "hint", descriptorHint)
	}
}
