package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/changes"
	"apquic/quicproxy/server/internal/presence"
	"apquic/quicproxy/server/internal/stage"
)

// watchAdmission ends the sessions of nodes that may no longer use the server, until ctx ends.
func (s *Server) watchAdmission(ctx context.Context) {
	if s.config.Admit != (admission.Everyone{}) {
		changes.Watch(ctx, s.config.Admit.Revision, s.heedAdmission) // also of lines removed while the server was down
	}
}

// heedAdmission ends what the Admitter now refuses to nodes, and has the ports of known nodes kept. It
// reports whether everything was done.
func (s *Server) heedAdmission(ctx context.Context) (done bool) {
	done = true
	for node, present := range s.presentNodes() {
		admitted, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: node})
		switch {
		case err == nil && admitted.Known && present.Guest:
			err = s.lessor.KeepNode(ctx, node)
		case errors.Is(err, admission.ErrDenied), errors.Is(err, admission.ErrNotAuthorized) && !present.OnlyGuest():
			err = s.Disconnect(ctx, node)
		default:
			err = nil // an Admitter that cannot answer has not refused: a failing disk ends no session
		}
		if err != nil {
			done = false
		}
	}
	return done && ctx.Err() == nil
}

// presentNodes returns the nodes with a session, and those with leases that are not reserved.
func (s *Server) presentNodes() map[certs.NodeID]presence.Presence {
	nodes := presence.OfLeases(s.lessor.Leases())
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for key := range s.registry.sessions {
		was := nodes[key.node]
		was.Session = true
		nodes[key.node] = was
	}
	return nodes
}

// isRefused reports whether a node may no longer use the server. An Admitter that cannot answer has not
// refused: a failing disk ends no session.
func (s *Server) isRefused(ctx context.Context, node certs.NodeID) bool {
	_, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: node})
	return errors.Is(err, admission.ErrNotAuthorized)
}

// authorize asks the Admitter what the node of c may do.
func (s *Server) authorize(ctx context.Context, c *nodeConn, secret []byte) (err error) {
	from := c.QUIC.RemoteAddr()
	c.admission, err = s.config.Admit.Admit(ctx, admission.Applicant{Node: c.node, JoinSecret: secret, Name: c.wish, From: netaddr.Endpoint(from).Addr()})
	if err == nil && c.admission.Name != "" {
		c.log = s.log.With("node", c.node, "name", c.admission.Name, "from", from.String())
	}
	return err
}

func (s *Server) admissionRevision(ctx context.Context) uint64 {
	return s.config.Admit.Revision(ctx)
}

// sentAwaySince reports whether the node of c was dismissed after the Admitter had that revision. c belongs
// to its session now, where watchAdmission finds it.
func (s *Server) sentAwaySince(ctx context.Context, c *nodeConn, revision uint64) bool {
	return s.admissionRevision(ctx) != revision && s.isRefused(ctx, c.node)
}

// keeps reports whether a lease outlasts the hold time, because the operator knows the node or the group.
func (s *Server) keeps(key lease.Key) bool {
	if key.IsGroup() {
		return s.groups.Has(key.Service)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	admitted, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: key.Node})
	return err == nil && admitted.Known
}

// Disconnect ends the session of a node with its lanes and relays at once, and keeps its ports from others
// for lease.ReserveTime. If the Admitter allows it, the node reconnects and gets its ports back. An error
// means that the ports could not be stored as kept.
func (s *Server) Disconnect(ctx context.Context, node certs.NodeID) error {
	sessions, conns := s.endSessions(node, (*association.Association).End, framing.ErrorNotAuthorized, "this node is no longer authorized")
	for _, session := range sessions {
		session.endLeases(slices.DeleteFunc(slices.Clone(conns), func(c *nodeConn) bool { return c.session != session }))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := s.lessor.HoldNode(ctx, node, time.Now().Add(lease.ReserveTime))
	if err != nil {
		s.log.Error("the ports of a dismissed node cannot be kept from others yet", "node", node, "err", err)
	}
	if len(conns) > 0 {
		conns[0].audit("dismiss", "connections", len(conns))
	}
	return err
}

// Kick ends the session of a node with its lanes and relays at once, and returns how many connections that were. The
// node may come back, and gets its ports again.
func (s *Server) Kick(node certs.NodeID) (connections int) {
	_, conns := s.endSessions(node, (*association.Association).Discard, framing.ErrorSuperseded, "the operator of the server ended the session")
	if len(conns) > 0 {
		conns[0].audit("kick", "connections", len(conns))
	}
	return len(conns)
}

// endSessions ends everything that a node has here.
func (s *Server) endSessions(node certs.NodeID, end func(*association.Association, framing.ErrorCode), code framing.ErrorCode, why string) ([]*session, []*nodeConn) {
	sessions, conns, associations := s.presenceOf(node)
	for _, a := range associations {
		end(a, framing.ErrorRelayShutdown)
	}
	for _, c := range conns {
		c.stage.Become(stage.Retiring)
		c.Relays.Discard(framing.ErrorRelayShutdown)
		c.QUIC.CloseWithError(quic.ApplicationErrorCode(code), why)
	}
	return sessions, conns
}

// presenceOf returns everything that a node has here.
func (s *Server) presenceOf(node certs.NodeID) (sessions []*session, conns []*nodeConn, associations []*association.Association) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for key, session := range s.registry.sessions {
		if key.node != node {
			continue
		}
		for _, p := range session.processes {
			associations = append(associations, p.Association)
		}
		sessions, conns = append(sessions, session), slices.Concat(conns, session.conns, session.lanes)
	}
	return sessions, conns, associations
}

// endLeases prevents connections of a session from getting more leases; a grant in progress finishes first.
func (s *session) endLeases(conns []*nodeConn) {
	s.leases.Lock()
	defer s.leases.Unlock()
	for _, c := range conns {
		c.stage.Become(stage.Retiring)
		for _, p := range c.services {
			p.Suspend(c)
		}
	}
}
