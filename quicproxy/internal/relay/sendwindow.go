package relay

import "time"

const (
	// A sender of stripes may have twice as much unacked as was acked in the last sendWindowPeriod, at least
	// minSendWindow, and no more than stripeWindow.
	minSendWindow    = 256 << 10
	sendWindowPeriod = 500 * time.Millisecond
)

// sendWindow limits how far a sender of stripes may be ahead of the reader. Stripes have no flow control
// window that grows with the reader, as streams do; a slow reader that got all of stripeWindow would cost
// that much at both sides.
type sendWindow struct {
	limit int
	acked int // bytes since then
	since time.Time
}

func newSendWindow(now time.Time) sendWindow { return sendWindow{limit: 4 * minSendWindow, since: now} }

// ack notes bytes that were acked, over a connection with this round trip time.
func (a *sendWindow) ack(bytes int, rtt time.Duration, now time.Time) {
	a.acked += bytes
	every := max(sendWindowPeriod, 4*rtt)
	if now.Sub(a.since) < every {
		a.limit = min(max(a.limit, 2*a.acked), stripeWindow)
		return
	}
	rate := float64(a.acked) / now.Sub(a.since).Seconds()
	a.limit = min(max(int(2*rate*every.Seconds()), minSendWindow), stripeWindow)
	a.acked, a.since = 0, now
}
