package path

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// LossLook is the interval at which a connection with relays is checked.
	LossLook = time.Second
	// A check finds loss if at least lossMinSent packets were sent and lossPerMille of a thousand were lost.
	lossMinSent, lossPerMille = 100, 1
	// lossyLooks consecutive checks with loss mean that loss limits the connection.
	lossyLooks = 3
	// stillLossy is how long that is assumed to last.
	stillLossy = 10 * time.Second
)

// LossMeter detects that loss limits what a connection sends, as on radio links: packets are lost although no
// queue builds up at the bottleneck. QUIC's congestion control takes each loss for a full queue and halves
// its speed (NewReno, RFC 9002 section 7); several connections then carry more than one.
type LossMeter struct {
	sent, lost uint64
	lossy      int // consecutive checks with loss
	found      time.Time
}

// Look is called every LossLook. It reports that loss has limited the connection for several checks, and
// reports it again only after as many more, since the remedy takes a while to show.
func (m *LossMeter) Look(now time.Time, stats quic.ConnectionStats) (limited bool) {
	sent, lost := stats.PacketsSent-m.sent, stats.PacketsLost-m.lost
	m.sent, m.lost = stats.PacketsSent, stats.PacketsLost
	if sent < lossMinSent {
		return false // too little to tell
	}
	queueing := stats.SmoothedRTT > stats.MinRTT*5/4+5*time.Millisecond
	if queueing || lost*1000 < sent*lossPerMille {
		m.lossy = 0
		return false
	}
	if m.lossy++; m.lossy < lossyLooks {
		return false
	}
	m.lossy = 0
	m.found = now
	return true
}

// Limited reports whether loss limited the connection recently.
func (m *LossMeter) Limited(now time.Time) bool {
	return !m.found.IsZero() && now.Sub(m.found) < stillLossy
}
