package relay

import "time"

const (
	// A sender of stripes keeps at least leastAhead that is not acked, twice what was acked in the last aheadEvery, and no
	// more than stripeWindow.
	leastAhead = 256 << 10
	aheadEvery = 500 * time.Millisecond
)

// ahead says how many bytes a sender of stripes may be ahead of what the peer has taken. Stripes have no window that grows
// with the reader, as streams do, and a slow reader that may have all of stripeWindow costs that at both sides.
type ahead struct {
	limit int
	acked int // bytes since then
	since time.Time
}

func newAhead(now time.Time) ahead { return ahead{limit: 4 * leastAhead, since: now} }

// ack is told of bytes that were acked, over a connection with this round trip.
func (a *ahead) ack(bytes int, rtt time.Duration, now time.Time) {
	a.acked += bytes
	every := max(aheadEvery, 4*rtt)
	if now.Sub(a.since) < every {
		a.limit = min(max(a.limit, 2*a.acked), stripeWindow)
		return
	}
	rate := float64(a.acked) / now.Sub(a.since).Seconds()
	a.limit = min(max(int(2*rate*every.Seconds()), leastAhead), stripeWindow)
	a.acked, a.since = 0, now
}
