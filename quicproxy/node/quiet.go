package node

import "time"

const (
	// quiet is how long nothing may come after traffic before the node asks whether the path is still there:
	// a path that dies under a download is noticed by nothing else before the next keepalive.
	quiet = 500 * time.Millisecond
	// quietLook is the time between two looks while something comes. While the relays of a connection are idle, quiet is.
	quietLook = 100 * time.Millisecond
)

// quietMeter tells when traffic stops.
type quietMeter struct {
	received uint64    // packets, at the last look
	heard    time.Time // when something had come last; zero: nothing came since the node asked
}

// look is called after pause, with how many packets came so far. It reports that nothing came for quiet after something did.
func (m *quietMeter) look(received uint64, now time.Time) (stopped bool) {
	if received != m.received {
		m.received, m.heard = received, now
		return false
	}
	return !m.heard.IsZero() && now.Sub(m.heard) >= quiet
}

// asked notes that the node has asked, and of what came until then knows: that traffic goes on, or that it has stopped; answers
// say nothing about that.
func (m *quietMeter) asked(received uint64, goesOn bool, now time.Time) {
	m.received, m.heard = received, time.Time{}
	if goesOn {
		m.heard = now
	}
}

// goesOn reports whether something came lately.
func (m *quietMeter) goesOn() bool { return !m.heard.IsZero() }

func (m *quietMeter) pause() time.Duration {
	if m.heard.IsZero() {
		return quiet
	}
	return quietLook
}
