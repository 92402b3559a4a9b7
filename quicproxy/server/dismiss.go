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
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
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
	s.heedAdmission(ctx) // lines that went while the server was down
	for before := checked; ; {
		if wait.Sleep(ctx, admissionPoll); ctx.Err() != nil {
			return
		}
		now := s.admissionRevision(ctx)
		if now == before && now != checked && s.heedAdmission(ctx) {
			checked = now
		}
		before = now
	}
}

// heedAdmission ends what nodes have that the Admitter refuses now, and has the ports of those that it knows kept. It
// reports whether all is done.
func (s *Server) heedAdmission(ctx context.Context) (done bool) {
	done = true
	for node, present := range s.presentNodes() {
		admitted, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: node})
		switch {
		case err == nil && admitted.Known && present.guest:
			err = s.lessor.KeepNode(ctx, node)
		case errors.Is(err, admission.ErrDenied), errors.Is(err, admission.ErrNotAuthorized) && !present.onlyGuest():
			err = s.Disconnect(ctx, node)
		default:
			err = nil // that nobody could be asked is no refusal: a disk that fails ends no session
		}
		if err != nil {
			done = false
		}
	}
	return done && ctx.Err() == nil
}

// presence is what a node has here.
type presence struct {
	session bool
	kept    bool // leases that somebody else could get if it were sent away
	guest   bool // leases from the time before it was known, if it is
}

// onlyGuest: nobody ever let it in, and it is not here.
func (p presence) onlyGuest() bool { return !p.session && !p.kept }

// presentNodes are those with a session, and those with leases that are not reserved.
func (s *Server) presentNodes() map[certs.NodeID]presence {
	nodes := make(map[certs.NodeID]presence)
	for _, l := range s.lessor.Leases() {
		if !l.Reserved {
			was := nodes[l.Node]
			nodes[l.Node] = presence{kept: was.kept || l.Kept, guest: was.guest || !l.Kept}
		}
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for node := range s.registry.sessions {
		was := nodes[node]
		was.session = true
		nodes[node] = was
	}
	return nodes
}

// isRefused reports whether a node may not use the server any more. That nobody could be asked is no refusal: a disk
// that fails ends no session.
func (s *Server) isRefused(ctx context.Context, node certs.NodeID) bool {
	if s.config.Admit == nil {
		return false
	}
	_, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: node})
	return errors.Is(err, admission.ErrNotAuthorized)
}

// authorize asks what the node of c may do.
func (s *Server) authorize(ctx context.Context, c *nodeConn, secret []byte) (err error) {
	if s.config.Admit == nil {
		return nil
	}
	from := c.QUIC.RemoteAddr()
	c.admission, err = s.config.Admit.Admit(ctx, admission.Applicant{Node: c.node, JoinSecret: secret, From: path.AddrPort(from).Addr().Unmap()})
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
	admitted, err := s.config.Admit.Admit(ctx, admission.Applicant{Node: node})
	return err == nil && admitted.Known
}

// Disconnect ends the session of a node with its lanes and relays at once, and keeps its ports from others for
// lease.ReserveTime. If the Admitter lets it, the node connects again and has its ports back. An error says that the
// ports could not be stored as kept.
func (s *Server) Disconnect(ctx context.Context, node certs.NodeID) error {
	session, conns, associations := s.presenceOf(node)
	for _, a := range associations {
		a.End(framing.ErrorRelayShutdown)
	}
	for _, c := range conns {
		c.become(retiring)
		c.Relays.Discard(framing.ErrorRelayShutdown)
		c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorNotAuthorized), "this node is not authorized any more")
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
func (s *Server) presenceOf(node certs.NodeID) (session *session, conns []*nodeConn, associations []*relay.Association) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	if session = s.registry.sessions[node]; session == nil {
		return nil, nil, nil
	}
	for _, p := range session.processes {
		associations = append(associations, p.Association)
	}
	return session, slices.Concat(session.conns, session.lanes), associations
}

// endLeases lets connections of a session have no more leases; a grant that is under way ends before.
func (s *session) endLeases(conns []*nodeConn) {
	s.leases.Lock()
	defer s.leases.Unlock()
	for _, c := range conns {
		c.become(retiring)
		for _, p := range c.services {
			p.Suspend(c)
		}
	}
}
