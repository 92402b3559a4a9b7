package server

import (
	"context"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/stage"
)

// watchLoss asks nodes for more lanes where loss limits what the server sends, until ctx ends.
func (s *Server) watchLoss(ctx context.Context) {
	for wait.Sleep(ctx, path.LossLook); ctx.Err() == nil; wait.Sleep(ctx, path.LossLook) {
		for _, c := range s.registry.conns(isBusy) {
			if c.meter.Look(time.Now(), c.QUIC.ConnectionStats()) && c.features.Has(framing.FeatureLanes) {
				c.Control.Post(framing.OpLanes, &framing.Lanes{}) // loss limits what c carries to the node
			}
			c.association.SetLossy(&c.Carrier, c.meter.Limited(time.Now()))
		}
	}
}

// isBusy reports that c has relays, or may have stripes of relays.
func isBusy(_ *session, c *nodeConn) bool {
	return c.stage.Last() != stage.Joining && (c.Relays.Len() > 0 || c.Lane)
}
