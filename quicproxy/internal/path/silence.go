package path

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// SilenceLook is the interval at which a connection that carries relays is checked.
	SilenceLook = 100 * time.Millisecond
	// A connection that leaves something unacked for suspectAfter, or that many round trips, is avoided if
	// there is another.
	suspectAfter, suspectRoundTrips = 300 * time.Millisecond, 4
	// That time is shorter, movedAfter or movedRoundTrips, if another connection of the node has changed its
	// address since this one was last seen: the NAT that moved one has probably moved all.
	movedAfter, movedRoundTrips = SilenceLook, 2
)

// SilenceMeter detects that a peer leaves something unacked for long. QUIC does not say what is acked, but it
// counts the packets sent and received, and a side that receives nothing new sends only what the other must
// ack: data, and its retransmissions.
type SilenceMeter struct {
	sent, received uint64
	looked         time.Time // zero: never
	seen           bool      // something came before the last check: an ack of it may follow, which gets no answer
	since          time.Time // since when an answer has been missing; zero: none is
	last           time.Time // the last check that saw something arrive
}

// Look is called every SilenceLook while there are relays. It returns for how long nothing has arrived
// although an answer is missing.
func (m *SilenceMeter) Look(stats quic.ConnectionStats, now time.Time) (silence time.Duration) {
	before := *m
	m.sent, m.received, m.looked = stats.PacketsSent, stats.PacketsReceived, now
	m.seen = !before.looked.IsZero() && m.received != before.received
	switch {
	case before.looked.IsZero(), m.seen:
		m.since, m.last = time.Time{}, now
	case m.since.IsZero() && m.sent > before.sent+before.acks():
		m.since = before.looked
	}
	if m.since.IsZero() {
		return 0
	}
	return now.Sub(m.since)
}

// acks is how many of the packets sent after a check may get no answer.
func (m *SilenceMeter) acks() uint64 {
	if m.seen {
		return 1 // the ack of what came last
	}
	return 0
}

// IsSuspect reports whether to avoid a connection that has been silent for that long. moved is when another
// connection of the peer last changed its address; zero: never.
func (m *SilenceMeter) IsSuspect(silence time.Duration, stats quic.ConnectionStats, moved time.Time) bool {
	if moved.After(m.last) {
		return silence >= max(movedAfter, movedRoundTrips*stats.SmoothedRTT)
	}
	return silence >= max(suspectAfter, suspectRoundTrips*stats.SmoothedRTT)
}

// Rest is called instead of Look while there are no relays.
func (m *SilenceMeter) Rest() {
	if !m.looked.IsZero() {
		*m = SilenceMeter{}
	}
}
