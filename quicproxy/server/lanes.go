package server

import (
	"context"
	"slices"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

// takeCarrier chooses the connection for a new relay of c, the one with the fewest relays, and counts the
// relay there at once, so that simultaneous clients are spread, too. It skips those in tried and those that
// do not answer, but c only if there is another.
func (c *nodeConn) takeCarrier(tried []*nodeConn) *nodeConn {
	c.server.registry.mu.Lock()
	defer c.server.registry.mu.Unlock()
	best := c
	for _, lane := range c.session.lanes {
		usable := lane.instance == c.instance && lane.state() == primary && !lane.silent.Load() && !lane.suspect.Load() &&
			!slices.Contains(tried, lane)
		if usable && (lane.carried < best.carried || best == c && (lane.carried == c.carried || c.suspect.Load())) {
			best = lane
		}
	}
	best.carried++
	return best
}

// giveBack uncounts a relay that takeCarrier counted on c.
func (c *nodeConn) giveBack() {
	c.server.registry.mu.Lock()
	defer c.server.registry.mu.Unlock()
	c.carried--
}

// watchLoss asks nodes for more lanes where loss limits what the server sends, until ctx ends.
func (s *Server) watchLoss(ctx context.Context) {
	for wait.Sleep(ctx, path.LossLook); ctx.Err() == nil; wait.Sleep(ctx, path.LossLook) {
		for _, c := range s.registry.conns(isBusy) {
			if c.meter.Look(time.Now(), c.QUIC.ConnectionStats()) && c.features.Has(framing.FeatureLanes) {
				c.Control.Post(framing.OpLanes, &framing.Lanes{}) // loss limits what c carries to the node
			}
			c.association.Lossy(&c.Carrier, c.meter.Limited(time.Now()))
		}
	}
}

// isBusy reports that c has relays, or may have stripes of relays.
func isBusy(_ *session, c *nodeConn) bool {
	return c.last() != joining && (c.Relays.Len() > 0 || c.Lane)
}
