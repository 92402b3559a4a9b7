package server

import (
	"context"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/server/internal/stage"
	"apquic/rules"
)

// Pin makes a port that of a service for good; see lease.Lessor.Pin for its errors. A node that is here and whose service
// got another port has to connect again, to hear of it: its relays go on. ended says that this happened.
func (s *Server) Pin(ctx context.Context, key lease.Key, port uint16) (pinned lease.Lease, ended bool, err error) {
	pinned, moved, err := s.lessor.Pin(ctx, key, port)
	if !moved {
		return pinned, false, err
	}
	_, conns, _ := s.presenceOf(key.Node)
	for _, c := range conns {
		if !c.Lane {
			ended = true
			c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorSuperseded), "the operator of the server gave a service another port")
		}
	}
	return pinned, ended, nil
}

// Unpin undoes Pin; see lease.Lessor.Unpin for its errors.
func (s *Server) Unpin(ctx context.Context, key lease.Key) (lease.Lease, error) {
	return s.lessor.Unpin(ctx, key)
}

// Limit makes these all that the operator says of single nodes, from now on, before Config.Rules. Of what nodes have it
// ends nothing but what they may no longer have; running relays go on, except those of a node without bytes in this month.
func (s *Server) Limit(limits rules.Own) {
	changed := s.rules.SetOwn(limits)
	for _, c := range s.registry.conns(func(_ *session, c *nodeConn) bool { return c.stage.Last() != stage.Joining && changed(c.node) }) {
		c.quitRefused()
	}
}
