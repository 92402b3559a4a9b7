package quicproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
)

// admissionPoll is how often the Admitter is asked whether its answers changed. A change counts when the next look
// finds it unchanged: an editor may empty a file before it writes it. So a node that was sent away is gone within
// three looks.
const admissionPoll = 500 * time.Millisecond

// watchAdmission ends the sessions of nodes that may not use the server any more, until ctx ends.
func (s *Server) watchAdmission(ctx context.Context) {
	if s.config.Admit == nil {
		return
	}
	checked := s.admissionRevision(ctx)
	s.dismissRefused(ctx) // lines that went while the server was down
	for before := checked; ; {
		if sleep(ctx, admissionPoll); ctx.Err() != nil {
			return
		}
		now := s.admissionRevision(ctx)
		if now == before && now != checked && s.dismissRefused(ctx) {
			checked = now
		}
		before = now
	}
}

// dismissRefused ends what nodes have that the Admitter refuses now. It reports whether all is done.
func (s *Server) dismissRefused(ctx context.Context) (done bool) {
	done = true
	for _, node := range s.presentNodes() {
		if s.isRefused(ctx, node) && s.Disconnect(ctx, node) != nil {
			done = false
		}
	}
	return done && ctx.Err() == nil
}

// presentNodes are those with a session, and those with leases that somebody else could get.
func (s *Server) presentNodes() []certs.NodeID {
	nodes := make(map[certs.NodeID]bool)
	for _, l := range s.lessor.Leases() {
		if l.Kept && !l.Reserved {
			nodes[l.Node] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for node := range s.sessions {
		nodes[node] = true
	}
	all := make([]certs.NodeID, 0, len(nodes))
	for node := range nodes {
		all = append(all, node)
	}
	return all
}

// isRefused reports whether a node may not use the server any more. That nobody could be asked is no refusal: a disk
// that fails ends no session.
func (s *Server) isRefused(ctx context.Context, node certs.NodeID) bool {
	if s.config.Admit == nil {
		return false
	}
	_, err := s.config.Admit.Admit(ctx, Applicant{Node: node})
	return errors.Is(err, ErrNotAuthorized)
}

// authorize asks what the node of c may do.
func (s *Server) authorize(ctx context.Context, c *nodeConn, secret []byte) (err error) {
	if s.config.Admit == nil {
		return nil
	}
	from := c.quic.RemoteAddr()
	c.admission, err = s.config.Admit.Admit(ctx, Applicant{Node: c.node, JoinSecret: secret, From: addressOf(from)})
	if err == nil && c.admission.Name != "" {
		c.log = s.log.With("node", c.node, "name", c.admission.Name, "from", from.String())
	}
	return err
}

func (s *Server) admissionRevision(ctx context.Context) uint64 {
	if s.config.Admit == nil {
		return 0
	}
	return s.config.Admit.Revision(ctx)
}

// sentAwaySince reports whether the node of c, which belongs to its session now, where watchAdmission finds it, was
// sent away since that had a revision.
func (s *Server) sentAwaySince(ctx context.Context, c *nodeConn, revision uint64) bool {
	return s.admissionRevision(ctx) != revision && s.isRefused(ctx, c.node)
}

// keeps reports whether the leases of a node outlast the hold time: the operator knows it.
func (s *Server) keeps(node certs.NodeID) bool {
	if s.config.Admit == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	admitted, err := s.config.Admit.Admit(ctx, Applicant{Node: node})
	return err == nil && admitted.Known
}

// Disconnect ends the session of a node with its lanes and relays at once, and keeps its ports from others for
// lease.ReserveTime. If the Admitter lets it, the node connects again and has its ports back. An error says that the
// ports could not be stored as kept.
func (s *Server) Disconnect(ctx context.Context, node certs.NodeID) error {
	session, conns, associations := s.presenceOf(node)
	for _, a := range associations {
		a.end(framing.ErrorRelayShutdown)
	}
	for _, c := range conns {
		c.retiring.Store(true)
		c.relays.abort(framing.ErrorRelayShutdown)
		c.quic.CloseWithError(quic.ApplicationErrorCode(framing.ErrorNotAuthorized), "this node is not authorized any more")
	}
	if len(conns) > 0 {
		session.endLeases(conns)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := s.lessor.HoldNode(ctx, node, time.Now().Add(lease.ReserveTime))
	if err != nil {
		s.log.Error("the ports of a node that was sent away cannot be kept from others yet", "node", node, "err", err)
	}
	if len(conns) > 0 {
		conns[0].audit("dismiss", "connections", len(conns))
	}
	return err
}

// presenceOf returns all that a node has here.
func (s *Server) presenceOf(node certs.NodeID) (session *session, conns []*nodeConn, associations []*association) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session = s.sessions[node]; session == nil {
		return nil, nil, nil
	}
	for _, a := range session.associations {
		associations = append(associations, a)
	}
	return session, slices.Concat(session.conns, session.lanes), associations
}

// endLeases lets connections of a session have no more leases; a grant that is under way ends before.
func (s *session) endLeases(conns []*nodeConn) {
	s.leases.Lock()
	defer s.leases.Unlock()
	for _, c := range conns {
		c.draining = true
		for _, p := range c.services {
			p.suspend(c)
		}
	}
}

// addressOf is the IP address of a node or client; zero for what is no address.
func addressOf(addr net.Addr) netip.Addr {
	switch addr := addr.(type) {
	case *net.UDPAddr:
		return addr.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return addr.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
