package stripes

import "time"

const (
	// A sender of stripes may have twice as much unacked as was acked in the last windowPeriod, at least
	// MinWindow, and no more than MaxWindow.
	MinWindow    = 256 << 10
	windowPeriod = 500 * time.Millisecond
)

// Window limits how far a sender of stripes may be ahead of the reader. Stripes have no flow control
// window that grows with the reader, as streams do; a slow reader that got all of MaxWindow would cost
// that much at both sides.
type Window struct {
	limit int
	acked int // bytes since then
	since time.Time
}

// NewWindow returns the window at the start of a striped direction.
func NewWindow(now time.Time) Window { return Window{limit: 4 * MinWindow, since: now} }

// Limit is how many bytes may be unacked.
func (a *Window) Limit() int { return a.limit }

// Ack notes bytes that were acked, over a connection with this round trip time.
func (a *Window) Ack(bytes int, rtt time.Duration, now time.Time) {
	a.acked += bytes
	every := max(windowPeriod, 4*rtt)
	if now.Sub(a.since) < every {
		a.limit = min(max(a.limit, 2*a.acked), MaxWindow)
		return
	}
	rate := float64(a.acked) / now.Sub(a.since).Seconds()
	a.limit = min(max(int(2*rate*every.Seconds()), MinWindow), MaxWindow)
	a.acked, a.since = 0, now
}
