package server

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/begun"
	"apquic/quicproxy/server/internal/stage"
)

// silentAfter is how long a node may leave what it was sent unacknowledged. After that it counts as away, and new
// clients wait for it. Running relays go on, since the node may be cut off only for a moment.
const silentAfter = 3 * time.Second

// watchSilence detects connections whose nodes do not answer, until ctx ends.
func (s *Server) watchSilence(ctx context.Context, transport *quic.Transport) {
	for wait.Sleep(ctx, path.SilenceLook); ctx.Err() == nil; wait.Sleep(ctx, path.SilenceLook) {
		for _, c := range s.registry.conns(isExpectant) {
			now, stats := time.Now(), c.QUIC.ConnectionStats()
			silence := c.silence.Look(stats, now)
			if moved := c.where.Look(netaddr.Endpoint(c.QUIC.RemoteAddr()), now); moved.After(c.session.moved) {
				c.session.moved = moved
			}
			if silence == 0 && c.suspect.Load() {
				c.association.Renew(&c.Carrier)
			}
			c.suspect.Store(c.silence.IsSuspect(silence, stats, c.session.moved))
			c.association.Suspect(&c.Carrier, c.suspect.Load())
			silent := silence >= silentAfter
			if silent != c.silent.Swap(silent) {
				s.silenceChanged(c, silent)
			}
			if silent {
				c.giveUpUnheard()
				c.wake(transport)
			}
		}
	}
}

// isExpectant reports that c has relays or does not answer, or that relays may move to it, so that it matters
// when it was last seen.
func isExpectant(session *session, c *nodeConn) bool {
	if c.stage.Last() == stage.Joining {
		return false
	}
	if c.Relays.Len() > 0 || len(session.lanes) > 0 || c.suspect.Load() || c.silent.Load() {
		return true
	}
	c.silence.Rest()
	return false
}

// silenceChanged makes the clients of c wait, or stop waiting.
func (s *Server) silenceChanged(c *nodeConn, silent bool) {
	if silent {
		c.log.Warn("the node does not answer; new connections wait for it", "park", s.public.Park())
	}
	s.public.OwnerChanged(c.node, c)
}

// Silent implements public.Target.
func (c *nodeConn) Silent() bool { return c.silent.Load() }

// giveUpUnheard refuses the clients whose relay began when c was already dead, once they have waited as long
// as later clients may; at once if another node takes clients, since they may try again.
func (c *nodeConn) giveUpUnheard() {
	c.begun.Each(func(r *begun.Relay) {
		if !r.Stream().Seen() && (time.Since(r.Begun()) >= silentAfter+c.server.public.Park() || r.Port.TakenElsewhere(c.node)) {
			r.Away.Store(true)
			r.Abort(framing.ErrorRelayReset)
		}
	})
}

// wake makes a silent node send something as soon as it can be reached again. QUIC's own retransmissions
// become ever rarer: after an outage of nine seconds the next one may take seven more.
func (c *nodeConn) wake(transport *quic.Transport) {
	if now := time.Now(); now.Sub(c.woken) >= path.WakePause {
		c.woken = now
		transport.WriteTo([]byte(path.WakeDatagram), c.QUIC.RemoteAddr())
	}
}
