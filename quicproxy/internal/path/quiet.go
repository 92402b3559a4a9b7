package path

import "time"

const (
	// quietAfter is how long nothing may arrive after traffic before the node asks whether the path still
	// works: nothing else notices before the next keepalive that a path died during a download.
	quietAfter = 500 * time.Millisecond
	// quietLook is the interval of checks while packets arrive; while the relays of a connection are idle, it
	// is quietAfter.
	quietLook = 100 * time.Millisecond
)

// QuietMeter detects when traffic stops.
type QuietMeter struct {
	Received uint64    // packets, at the last check
	seen     time.Time // when something last arrived; zero: nothing has since the node asked
}

// Look is called after Pause, with how many packets have arrived. It reports that nothing came for quietAfter
// after something had.
func (m *QuietMeter) Look(received uint64, now time.Time) (stopped bool) {
	if received != m.Received {
		m.Received, m.seen = received, now
		return false
	}
	return !m.seen.IsZero() && now.Sub(m.seen) >= quietAfter
}

// Asked notes that the node has asked, and what it knows from that: whether traffic goes on or has stopped.
// The answers themselves say nothing about that.
func (m *QuietMeter) Asked(received uint64, goesOn bool, now time.Time) {
	m.Received, m.seen = received, time.Time{}
	if goesOn {
		m.seen = now
	}
}

// GoesOn reports whether something arrived recently.
func (m *QuietMeter) GoesOn() bool { return !m.seen.IsZero() }

// Pause is the time until the next check.
func (m *QuietMeter) Pause() time.Duration {
	if m.seen.IsZero() {
		return quietAfter
	}
	return quietLook
}
