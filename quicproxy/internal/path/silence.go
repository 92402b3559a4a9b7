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
	// That time is shorter, movedAfter or movedRoundTrips, if another connection of the node came from a new address since this one
	// was heard: the NAT that moved one has probably moved all.
	movedAfter, movedRoundTrips = SilenceLook, 2
)

// SilenceMeter tells whether a peer leaves something unacknowledged for long. QUIC does not say what is acknowledged, but
// it says how many packets came and went; and who has heard nothing new sends only what the other side has to
// acknowledge: data, and its retransmissions.
type SilenceMeter struct {
	sent, received uint64
	looked         time.Time // zero: not yet
	heard          bool      // something came before the last look: its acknowledgement may follow, which has no answer
	since          time.Time // since when an answer is missing; zero: none is
	last           time.Time // the look that saw that something had come
}

// Look is called every SilenceLook while there are relays. It returns for how long nothing came although an answer is
// missing.
func (m *SilenceMeter) Look(stats quic.ConnectionStats, now time.Time) (silence time.Duration) {
	before := *m
	m.sent, m.received, m.looked = stats.PacketsSent, stats.PacketsReceived, now
	m.heard = !before.looked.IsZero() && m.received != before.received
	switch {
	case before.looked.IsZero(), m.heard:
		m.since, m.last = time.Time{}, now
	case m.since.IsZero() && m.sent > before.sent+before.acks():
		m.since = before.looked
	}
	if m.since.IsZero() {
		return 0
	}
	return now.Sub(m.since)
}

// acks is how many of the packets that are sent after a look may have no answer.
func (m *SilenceMeter) acks() uint64 {
	if m.heard {
		return 1 // acknowledges what came last
	}
	return 0
}

// IsSuspect reports whether a connection that was silent for so long is to be avoided. Another one of the peer came from a new
// address at moved, last; zero: none did.
func (m *SilenceMeter) IsSuspect(silence time.Duration, stats quic.ConnectionStats, moved time.Time) bool {
	if moved.After(m.last) {
		return silence >= max(movedAfter, movedRoundTrips*stats.SmoothedRTT)
	}
	return silence >= max(suspectAfter, suspectRoundTrips*stats.SmoothedRTT)
}

// Rest is called instead of look while there are no relays.
func (m *SilenceMeter) Rest() {
	if !m.looked.IsZero() {
		*m = SilenceMeter{}
	}
}
