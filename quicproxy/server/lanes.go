package server

import (
	"context"
	"slices"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

// joinLane adds a lane to the session of its process. All processes of a node together have no more than one may have.
func (s *Server) joinLane(c *nodeConn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.sessions[c.node]
	switch {
	case s.draining:
		return &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "the server is stopping"}
	case session == nil || !slices.ContainsFunc(session.conns, func(primary *nodeConn) bool { return primary.instance == c.instance }):
		return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "there is no connection of this process that a lane could belong to"}
	case len(session.lanes) >= carrier.MaxLanes && !s.dropOrphanLocked(session):
		return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this node has as many lanes as it may have"}
	}
	session.lanes = append(session.lanes, c)
	s.associateLocked(c, session)
	return nil
}

// takeCarrier chooses the connection for a new relay of c, the one with the fewest, and counts the relay there at
// once: clients that come at the same moment are spread, too. Those in tried and those that do not answer are left out, but c
// only if there is another one.
func (c *nodeConn) takeCarrier(tried []*nodeConn) *nodeConn {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	best := c
	for _, lane := range c.session.lanes {
		usable := lane.instance == c.instance && !lane.retiring.Load() && !lane.silent.Load() && !lane.suspect.Load() &&
			!slices.Contains(tried, lane)
		if usable && (lane.carried < best.carried || best == c && (lane.carried == c.carried || c.suspect.Load())) {
			best = lane
		}
	}
	best.carried++
	return best
}

func (c *nodeConn) giveBack() {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.carried--
}

// watchLoss asks the nodes for more lanes where loss limits what the server sends to them, until ctx ends.
func (s *Server) watchLoss(ctx context.Context) {
	for wait.Sleep(ctx, path.LossLook); ctx.Err() == nil; wait.Sleep(ctx, path.LossLook) {
		for _, c := range s.busyConns() {
			if c.meter.Look(time.Now(), c.QUIC.ConnectionStats()) && c.features.Has(framing.FeatureLanes) {
				c.Control.Post(framing.OpLanes, &framing.Lanes{}) // loss limits what c carries to the node
			}
			c.association.Lossy(&c.Carrier, c.meter.Limited(time.Now()))
		}
	}
}

// busyConns are all connections with relays, or with stripes of relays.
func (s *Server) busyConns() (busy []*nodeConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		for _, conns := range [][]*nodeConn{session.conns, session.lanes} {
			for _, c := range conns {
				if c.Relays.Len() > 0 || c.Lane {
					busy = append(busy, c)
				}
			}
		}
	}
	return busy
}
