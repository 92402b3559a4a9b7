package public

import (
	"fmt"
	"log/slog"
	"time"

	"apquic/internal/machine"
	"apquic/quicproxy/server/internal/descriptors"
)

// noDescriptor returns, and logs, the error of a lease that would need a descriptor.
func (s *Listeners) noDescriptor() error {
	err := &descriptors.Error{What: "no further public port can be opened"}
	s.log.Error(err.Error(), "hint", err.Hint())
	return err
}

// acceptFailed logs why no public connection can be accepted. Without descriptors all ports keep failing.
func (s *Listeners) acceptFailed(err error, pause time.Duration, where slog.Attr) {
	if descriptors.IsShortage(err) {
		err := &descriptors.Error{What: "a public connection cannot be accepted"}
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
			leasable, ports, machine.Descriptors()), "hint", descriptors.Hint)
	}
}
