package quicproxy

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
)

const (
	// silentAfter is how long a node may leave unacknowledged what was sent to it. After that it counts as away: new
	// clients wait for it. What runs goes on, since the node may only be cut off for a moment.
	silentAfter = 3 * time.Second
	// silenceLook is the time between two looks at a connection that carries relays.
	silenceLook = 250 * time.Millisecond
)

// silenceMeter tells whether a peer leaves something unacknowledged for long. QUIC does not say what is acknowledged, but
// it says how many packets came and went; and who has heard nothing new sends only what the other side has to
// acknowledge: data, and its retransmissions.
type silenceMeter struct {
	sent, received uint64
	looked         time.Time // zero: not yet
	heard          bool      // something came before the last look: its acknowledgement may follow, and has no answer
	since          time.Time // since when an answer is missing; zero: none is
}

// look is called every silenceLook while there are relays. It reports whether nothing came for silentAfter although
// an answer is missing.
func (m *silenceMeter) look(stats quic.ConnectionStats, now time.Time) (silent bool) {
	before := *m
	m.sent, m.received, m.looked = stats.PacketsSent, stats.PacketsReceived, now
	m.heard = !before.looked.IsZero() && m.received != before.received
	switch {
	case before.looked.IsZero(), m.heard:
		m.since = time.Time{}
	case m.since.IsZero() && m.sent != before.sent && !before.heard:
		m.since = before.looked
	}
	return !m.since.IsZero() && now.Sub(m.since) >= silentAfter
}

// rest is called instead of look while there are no relays.
func (m *silenceMeter) rest() {
	if !m.looked.IsZero() {
		*m = silenceMeter{}
	}
}

// watchSilence finds the connections whose nodes do not answer, until ctx ends.
func (s *Server) watchSilence(ctx context.Context, transport *quic.Transport) {
	for sleep(ctx, silenceLook); ctx.Err() == nil; sleep(ctx, silenceLook) {
		for _, c := range s.expectantConns() {
			silent := c.silence.look(c.quic.ConnectionStats(), time.Now())
			if silent != c.silent.Swap(silent) {
				s.tellSilence(c, silent)
			}
			if silent {
				c.giveUpUnheard()
				c.wake(transport)
			}
		}
	}
}

// expectantConns are the connections with relays, and those that are silent.
func (s *Server) expectantConns() (conns []*nodeConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		for _, all := range [][]*nodeConn{session.conns, session.lanes} {
			for _, c := range all {
				if c.relays.len() > 0 || c.silent.Load() {
					conns = append(conns, c)
				} else {
					c.silence.rest()
				}
			}
		}
	}
	return conns
}

// tellSilence has the clients of c wait, or wait no longer.
func (s *Server) tellSilence(c *nodeConn, silent bool) {
	if silent {
		c.log.Warn("the node does not answer; new connections wait for it", "park", s.config.Park)
	}
	s.mu.Lock()
	listeners := slices.Collect(maps.Values(s.publicOf[c.node]))
	s.mu.Unlock()
	for _, p := range listeners {
		p.ownerChanged(c)
	}
}

// giveUpUnheard refuses the clients whose relay began when c was dead already, and who have waited as long as those may
// that came later.
func (c *nodeConn) giveUpUnheard() {
	for _, m := range c.relays.all() {
		r, ok := m.(*relay)
		if ok && r.isUnheard() && time.Since(r.begun) >= silentAfter+max(c.server.config.Park, 0) {
			r.away.Store(true)
			resetStream(r.stream, framing.ErrorRelayReset) // at once: what the node has not seen it needs not see
			r.abort(framing.ErrorRelayReset)
		}
	}
}

// wake has a silent node say something as soon as it can be reached again. QUIC's own retransmissions come ever more
// rarely: after an outage of nine seconds the next one may take seven more.
func (c *nodeConn) wake(transport *quic.Transport) {
	if now := time.Now(); now.Sub(c.woken) >= wakePause {
		c.woken = now
		transport.WriteTo([]byte(conn.WakeDatagram), c.quic.RemoteAddr())
	}
}

// isUnheard reports that nothing at all has come over the connection of a relay since it began, so that its stream header
// was never acknowledged, and nothing of the relay over another one.
func (r *relay) isUnheard() bool {
	return r.retriable && !r.known.Load() && r.carrier.quic.ConnectionStats().PacketsReceived == r.heard
}

// answers waits until something comes from the node; false: nothing came for silentAfter, or the connection ended.
func (c *nodeConn) answers() bool {
	before := c.quic.ConnectionStats().PacketsReceived
	for begin := time.Now(); time.Since(begin) < silentAfter; sleep(c.quic.Context(), silenceLook) {
		if c.quic.ConnectionStats().PacketsReceived != before {
			return true
		}
		if c.quic.Context().Err() != nil {
			return false
		}
	}
	return false
}
