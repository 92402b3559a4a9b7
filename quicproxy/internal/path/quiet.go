package path

import "time"

const (
	// Quiet is how long nothing may come after traffic before the node asks whether the path is still there:
	// a path that dies under a download is noticed by nothing else before the next keepalive.
	Quiet = 500 * time.Millisecond
	// quietLook is the time between two looks while something comes. While the relays of a connection are idle, quiet is.
	quietLook = 100 * time.Millisecond
)

// QuietMeter tells when traffic stops.
type QuietMeter struct {
	Received uint64    // packets, at the last look
	heard    time.Time // when something had come last; zero: nothing came since the node asked
}

// Look is called after pause, with how many packets came so far. It reports that nothing came for quiet after something did.
func (m *QuietMeter) Look(received uint64, now time.Time) (stopped bool) {
	if received != m.Received {
		m.Received, m.heard = received, now
		return false
	}
	return !m.heard.IsZero() && now.Sub(m.heard) >= Quiet
}

// Asked notes that the node has asked, and of what came until then knows: that traffic goes on, or that it has stopped; answers
// say nothing about that.
func (m *QuietMeter) Asked(received uint64, goesOn bool, now time.Time) {
	m.Received, m.heard = received, time.Time{}
	if goesOn {
		m.heard = now
	}
}

// GoesOn reports whether something came lately.
func (m *QuietMeter) GoesOn() bool { return !m.heard.IsZero() }

func (m *QuietMeter) Pause() time.Duration {
	if m.heard.IsZero() {
		return Quiet
	}
	return quietLook
}
