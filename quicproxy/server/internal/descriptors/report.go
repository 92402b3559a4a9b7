package descriptors

import (
	"fmt"
	"log/slog"
	"time"

	"apquic/internal/machine"
)

// None returns, and logs, the error of something that would need a descriptor.
func None(log *slog.Logger, what string) error {
	err := &Error{What: what}
	log.Error(err.Error(), "hint", err.Hint())
	return err
}

// AcceptFailed logs why no public connection can be accepted. Without descriptors all ports keep failing.
func AcceptFailed(log *slog.Logger, err error, pause time.Duration, where slog.Attr) {
	if IsShortage(err) {
		None(log, "a public connection cannot be accepted")
		return
	}
	log.Warn("accepting a public connection failed", where, "err", err, "again_in", pause)
}

// Check tells the operator at the start that descriptors will not suffice for that many ports. It counts one for each,
// since nobody knows yet how many will be for tcp+udp.
func Check(log *slog.Logger, leasable, ports int) {
	if ports > leasable {
		log.Warn(fmt.Sprintf("only %d of the %d public ports can be leased, or half as many for tcp+udp: the server may have %d files open (ulimit -n)",
			leasable, ports, machine.Descriptors()), "hint", Hint)
	}
}
