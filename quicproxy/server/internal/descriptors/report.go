package descriptors

import (
	"context"
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

// A failing accept, usually for lack of descriptors, is retried after pauses that double.
const minPause, maxPause = 5 * time.Millisecond, time.Second

// AcceptFailed logs why no public connection can be accepted, and waits until it is worth trying again, or ctx ends. It
// returns how long that was; before is the same of the failure just before this one, or 0. Without descriptors all ports
// keep failing.
func AcceptFailed(ctx context.Context, log *slog.Logger, err error, before time.Duration, where slog.Attr) (pause time.Duration) {
	pause = min(max(2*before, minPause), maxPause)
	if IsShortage(err) {
		None(log, "a public connection cannot be accepted")
	} else {
		log.Warn("accepting a public connection failed", where, "err", err, "again_in", pause)
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return pause
}

// Check tells the operator at the start that descriptors will not suffice for that many ports. It counts one for each,
// since nobody knows yet how many will be for tcp+udp.
func Check(log *slog.Logger, leasable, ports int) {
	if ports > leasable {
		log.Warn(fmt.Sprintf("only %d of the %d public ports can be leased, or half as many for tcp+udp: the server may have %d files open (ulimit -n)",
			leasable, ports, machine.Descriptors()), "hint", Hint)
	}
}
