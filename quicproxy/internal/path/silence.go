package path

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// SilenceLook is the time between two looks at a connection that carries relays.
	SilenceLook = 100 * time.Millisecond
	// A connection that leaves something unacknowledged for suspectAfter, or so many round trips, is avoided as long as there
	// is another one.
	suspectAfter, suspectRoundTrips = 300 * time.Millisecond, 4
)

// SilenceMeter tells whether a peer leaves something unacknowledged for long. QUIC does not say what is acknowledged, but
// it says how many packets came and went; and who has heard nothing new sends only what the other side has to
// acknowledge: data, and its retransmissions.
type SilenceMeter struct {
	sent, received uint64
	looked         time.Time // zero: not yet
	heard          bool      // something came before the last look: its acknowledgement may follow, and has no answer
	since          time.Time // since when an answer is missing; zero: none is
}

// Look is called every SilenceLook while there are relays. It returns for how long nothing came although an answer is
// missing.
func (m *SilenceMeter) Look(stats quic.ConnectionStats, now time.Time) (silence time.Duration) {
	before := *m
	m.sent, m.received, m.looked = stats.PacketsSent, stats.PacketsReceived, now
	m.heard = !before.looked.IsZero() && m.received != before.received
	switch {
	case before.looked.IsZero(), m.heard:
		m.since = time.Time{}
	case m.since.IsZero() && m.sent != before.sent && !before.heard:
		m.since = before.looked
	}
	if m.since.IsZero() {
		return 0
	}
	return now.Sub(m.since)
}

// IsSuspect reports whether a connection that was silent for so long is to be avoided.
func IsSuspect(silence time.Duration, stats quic.ConnectionStats) bool {
	return silence >= max(suspectAfter, suspectRoundTrips*stats.SmoothedRTT)
}

// Rest is called instead of look while there are no relays.
func (m *SilenceMeter) Rest() {
	if !m.looked.IsZero() {
		*m = SilenceMeter{}
	}
}
