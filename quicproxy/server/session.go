package server

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/public"
)

const (
	// maxConnections bounds the live connections of a node: the newest is in use, one may be in doubt, and
	// older ones have running relays.
	maxConnections = 8
	// maxEnding is how many more there may be that are closed, but have not ended yet.
	maxEnding = 8
	// farewell is how long a node has to read why before its connection is closed.
	farewell = time.Second
	// takeover is how long the successor of a connection has to ask for its services before they count as left: a lease
	// that is detached and attached again is written twice.
	takeover = 30 * time.Second
)

// session is the presence of a node: its live connections, the newest last and primary.
type session struct {
	// leases serialises what the connections of a node do to its leases, and guards their services. It is
	// taken before Server.mu, never after.
	leases sync.Mutex

	// Guarded by Server.mu. A lane carries relays and nothing else; a session without conns may still have some.
	conns, lanes []*nodeConn
	// processes are those of the node, by their instance. One without connections has relays that wait for some.
	processes map[uint64]*process
	turns     uint64 // how many connections were primary

	moved time.Time // when one of its connections came from a new address; watchSilence is its only user
}

// process is one of a node, of which relays go on over other connections. Its fields are guarded by Server.mu.
type process struct {
	*relay.Association
	users int    // connections that belong to it
	turn  uint64 // of its last primary connection, among those of the session
}

// nodeConn is one QUIC connection of a node, as the server sees it.
type nodeConn struct {
	carrier.Conn
	server      *Server
	node        certs.NodeID
	instance    uint64
	version     string
	features    framing.Features // that both sides have
	since       time.Time
	log         *slog.Logger
	session     *session
	admission   admission.Admission          // what the operator lets it do
	account     *account.Account             // of the node, from the moment that it is admitted
	association *relay.Association           // nil: relays end with their connection
	process     *process                     // that has it; nil: none
	begun       begunRelays                  // on this connection
	silent      atomic.Bool                  // the node leaves what was sent to it unacknowledged
	suspect     atomic.Bool                  // it does so for long enough that other connections are better
	silence     path.SilenceMeter            // watchSilence is its only user,
	address     netip.AddrPort               // of this, too: where the node was at the last look;
	woken       time.Time                    // and of this: when the node was asked last to say something
	requests    wait.Queue[framing.Envelope] // those that need the lease store
	turn        uint64                       // how many connections of its session were primary when it became it; guarded by Server.mu
	carried     int                          // relays, also those about to begin; guarded by Server.mu
	orphaned    time.Time                    // when the lane lost its process; zero: it has one. Guarded by Server.mu
	retiring    atomic.Bool                  // it asked to be drained: no new relays

	meter path.LossMeter // watchLoss is its only user

	// Guarded by session.leases.
	services map[string]*public.Listener
	replaced bool // a newer connection is primary
	draining bool // the node stops
}

// serveNode owns a connection from its handshake to its end.
func (s *Server) serveNode(connection *quic.Conn) {
	s.strange.Greet(connection)
	c, err := s.admit(connection)
	s.strange.Leave(connection)
	if err != nil {
		s.log.Debug("connection refused", "from", connection.RemoteAddr(), "err", err)
		conn.Close(connection, err)
		return
	}
	defer s.accounts.Close(c.account)
	c.Conn.Begin(c.association, s.memory, c.account.Memory)
	c.association.Join(&c.Carrier)
	s.tidy(c.session, c.node)
	err = c.Control.Serve(c.handle)
	conn.Close(connection, err)
	s.probes.End(c.QUIC)
	if !c.Lane && conn.IsShutdown(err) {
		c.association.Ends()
	}
	c.association.Leave(&c.Carrier)
	c.requests.Close()
	c.Working.Wait()
	c.Control.End()
	s.memory.Forget(&c.Conn)
	s.leave(c)
	c.log.Log(context.Background(), c.level(), "node disconnected", "reason", conn.Explain(err, "the node").Error(), "after", time.Since(c.since).Round(time.Second))
}

// level is that of lines about the beginning and the end of c: of lanes there are many.
func (c *nodeConn) level() slog.Level {
	if c.Lane {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// enter lets c into the session of its node, and makes it primary.
func (s *Server) enter(c *nodeConn, standby bool) error {
	if c.Lane {
		return s.joinLane(c)
	}
	older, err := s.join(c, standby)
	if err != nil {
		return err
	}
	for _, old := range c.replace(older) {
		s.work.Go(func() { old.retire(c) })
	}
	if len(older) >= maxConnections {
		for _, old := range older[:len(older)-maxConnections+1] {
			s.dropLater(old, "this node has too many connections")
		}
	}
	return nil
}

// replace lets the clients of older connections wait for c, and returns those that were not replaced before.
func (c *nodeConn) replace(older []*nodeConn) (replaced []*nodeConn) {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	for _, old := range older {
		if old.replaced {
			continue
		}
		old.replaced = true
		for _, p := range old.services {
			p.Suspend(old)
		}
		replaced = append(replaced, old)
	}
	return replaced
}

// join adds c to its session and returns the connections that were there before.
func (s *Server) join(c *nodeConn, standby bool) (older []*nodeConn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "the server is stopping"}
	}
	existing := s.sessions[c.node]
	if existing == nil {
		existing = new(session)
		s.sessions[c.node] = existing
	}
	older = slices.Clone(existing.conns)
	if standby && slices.ContainsFunc(older, func(old *nodeConn) bool { return old.instance != c.instance }) {
		return nil, anotherProcess(older[len(older)-1].QUIC.RemoteAddr())
	}
	if len(older) >= maxConnections+maxEnding {
		return nil, &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this node has too many connections", RetryAfter: farewell}
	}
	existing.conns = append(existing.conns, c)
	s.associateLocked(c, existing)
	existing.turns++
	c.turn = existing.turns
	if c.process != nil {
		c.process.turn = c.turn
	}
	return older, nil
}

// associateLocked makes c a connection of its process.
func (s *Server) associateLocked(c *nodeConn, session *session) {
	c.session = session
	if !c.features.Has(framing.FeatureMovingRelays) {
		return
	}
	if session.processes == nil {
		session.processes = make(map[uint64]*process)
	}
	p := session.processes[c.instance]
	if p == nil {
		p = &process{Association: relay.NewServerAssociation(c.instance, s.lastRelay, s.config.ResumeTime)}
		session.processes[c.instance] = p
	}
	p.users++
	c.process, c.association = p, p.Association
}

// tidy forgets what is left of a session when nothing is, and ends the relays of processes that another one of the
// node has followed.
func (s *Server) tidy(session *session, node certs.NodeID) {
	s.mu.Lock()
	var over []*process
	for instance, p := range session.processes {
		// An older connection of another process that lives on has not followed anybody.
		followed := len(session.conns) > 0 && session.conns[len(session.conns)-1].turn > p.turn
		switch relays, _ := p.Size(); {
		case p.users > 0:
		case followed:
			over = append(over, p)
			fallthrough
		case relays == 0:
			delete(session.processes, instance)
			s.lastRelay = max(s.lastRelay, p.Last()) // whoever comes again knows the numbers before
		}
	}
	if len(session.conns)+len(session.lanes)+len(session.processes) == 0 && s.sessions[node] == session {
		delete(s.sessions, node)
	}
	s.mu.Unlock()
	for _, p := range over {
		p.EndAnew()
	}
}

// leave ends what c had. Its leases stay, held for the node, unless a newer connection has them.
func (s *Server) leave(c *nodeConn) {
	c.session.leases.Lock()
	for name, p := range c.services {
		if p.Leave(c) {
			s.detach(c, p)
		}
		delete(c.services, name)
	}
	c.session.leases.Unlock()

	s.mu.Lock()
	isC := func(other *nodeConn) bool { return other == c }
	c.session.conns = slices.DeleteFunc(c.session.conns, isC)
	c.session.lanes = slices.DeleteFunc(c.session.lanes, isC)
	if c.process != nil {
		c.process.users--
	}
	s.mu.Unlock()
	s.tidy(c.session, c.node)
}

// detach starts the time for which the lease of p is held. A stopping server leaves that to its next start,
// which finds the lease attached.
func (s *Server) detach(c *nodeConn, p *public.Listener) {
	if s.isDraining() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := s.lessor.Detach(ctx, p.Key); err != nil {
		c.log.Warn("the end of a session could not be stored", "service", p.Key.Service, "err", err)
	}
}

// retire tells c of its successor and closes it when its last relay has ended. The code says again whether
// the successor is another process, since a closing connection drops what it carries.
func (c *nodeConn) retire(successor *nodeConn) {
	other := c.instance != successor.instance
	c.Control.Post(framing.OpReplaced, &framing.Replaced{Instance: successor.instance, Address: successor.QUIC.RemoteAddr().String()})
	code, text := framing.ErrorSuperseded, "a newer connection of this node is in use"
	if other {
		code, text = framing.ErrorReplaced, "another process with the key of this node took over"
	}
	if other && !c.isFollowedInLife(successor) {
		c.server.closeProcess(c, code, text)
		return
	}
	c.Relays.CloseWhenIdle(c.QUIC.Context())
	wait.Sleep(c.QUIC.Context(), farewell)
	for begin := time.Now(); !other && c.hasLeases() && time.Since(begin) < takeover && c.QUIC.Context().Err() == nil; {
		wait.Sleep(c.QUIC.Context(), farewell)
	}
	c.QUIC.CloseWithError(quic.ApplicationErrorCode(code), text)
}

// hasLeases reports whether there are leases that no newer connection has asked for.
func (c *nodeConn) hasLeases() bool {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	for _, p := range c.services {
		if p.IsOwner(c) {
			return true
		}
	}
	return false
}

// isFollowedInLife logs what it means that another process took over, and reports whether the one of c is alive.
func (c *nodeConn) isFollowedInLife(successor *nodeConn) bool {
	c.session.leases.Lock()
	said := c.draining
	c.session.leases.Unlock()
	switch {
	case said:
		successor.log.Info("took over from a process that is stopping", "older", c.QUIC.RemoteAddr().String())
	case c.answers():
		successor.log.Warn("two processes use the key of this node; the newer one takes over", "older", c.QUIC.RemoteAddr().String())
	case conn.IsShutdown(context.Cause(c.QUIC.Context())):
		successor.log.Info("took over from a process that has stopped", "older", c.QUIC.RemoteAddr().String())
	default:
		successor.log.Info("took over from a session that did not say goodbye", "older", c.QUIC.RemoteAddr().String())
		return false
	}
	return true
}

// closeProcess closes c and the lanes of its process, which is dead: nobody waits for it any more.
func (s *Server) closeProcess(c *nodeConn, code framing.ErrorCode, text string) {
	s.mu.Lock()
	conns := slices.DeleteFunc(slices.Clone(c.session.lanes), func(lane *nodeConn) bool { return lane.instance != c.instance })
	s.mu.Unlock()
	for _, connection := range append(conns, c) {
		connection.QUIC.CloseWithError(quic.ApplicationErrorCode(code), text)
	}
}
