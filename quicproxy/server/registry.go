package server

import (
	"slices"
	"sync"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/server/internal/failure"
)

const (
	// maxConnections bounds the live connections of a node: the newest is in use, one may be suspect, and
	// older ones have running relays.
	maxConnections = 8
	// maxEnding is how many more may exist that are closed, but have not ended yet.
	maxEnding = 8
)

// registry holds the sessions of all nodes: who is here, over which connections, and what their processes
// share.
type registry struct {
	resumeTime time.Duration

	mu        sync.Mutex
	sessions  map[sessionKey]*session
	lastRelay uint64 // the highest relay number of the processes that are gone
	closed    bool   // no connection may join
}

// session is the presence of a node: its live connections, the newest and primary one last.
type session struct {
	key sessionKey
	// leases serialises what the connections of a node do to its leases, and guards their services. It is
	// taken before registry.mu, never after.
	leases sync.Mutex

	// Guarded by registry.mu. Lanes carry only relays; a session without conns may still have some.
	conns, lanes []*nodeConn
	// processes are those of the node, by instance. One without connections has relays that wait for one.
	processes map[uint64]*process
	turns     uint64 // how many connections have been primary

	moved time.Time // when a connection last changed its address; only watchSilence uses it
}

// process is one of a node whose relays resume over other connections. Its fields are guarded by registry.mu.
type process struct {
	*association.Association
	users int    // connections that belong to it
	turn  uint64 // of its last primary connection, within the session
}

// join adds c to its session and returns the connections that were there before.
func (r *registry) join(c *nodeConn, standby bool) (older []*nodeConn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "the server is stopping"}
	}
	key := c.sessionKey()
	existing := r.sessions[key]
	if existing == nil {
		existing = &session{key: key}
		r.sessions[key] = existing
	}
	older = slices.Clone(existing.conns)
	if standby && slices.ContainsFunc(older, func(old *nodeConn) bool { return old.instance != c.instance }) {
		return nil, failure.AnotherProcess(older[len(older)-1].QUIC.RemoteAddr())
	}
	if len(older) >= maxConnections+maxEnding {
		return nil, &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this node has too many connections", RetryAfter: farewell}
	}
	existing.conns = append(existing.conns, c)
	r.associateLocked(c, existing)
	existing.turns++
	c.turn = existing.turns
	if c.process != nil {
		c.process.turn = c.turn
	}
	return older, nil
}

// joinLane adds a lane to the session of its process. All processes of a node share one limit of lanes.
func (r *registry) joinLane(c *nodeConn, drop func(lane *nodeConn, why string)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	session := r.sessions[c.sessionKey()]
	switch {
	case r.closed:
		return &quicproxy.FailureError{Code: framing.ErrorShutdown, Text: "the server is stopping"}
	case session == nil || !slices.ContainsFunc(session.conns, func(other *nodeConn) bool { return other.instance == c.instance }):
		return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this process has no connection that a lane could belong to"}
	case len(session.lanes) >= carrier.MaxLanes && !session.dropOrphanLocked(drop):
		return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "this node has as many lanes as it may have"}
	}
	session.lanes = append(session.lanes, c)
	r.associateLocked(c, session)
	return nil
}

// associateLocked makes c a connection of its process.
func (r *registry) associateLocked(c *nodeConn, session *session) {
	c.session = session
	if !c.features.Has(framing.FeatureMovingRelays) {
		return
	}
	if session.processes == nil {
		session.processes = make(map[uint64]*process)
	}
	p := session.processes[c.instance]
	if p == nil {
		p = &process{Association: association.NewServer(c.instance, r.lastRelay, r.resumeTime)}
		session.processes[c.instance] = p
	}
	p.users++
	c.process, c.association = p, p.Association
}

// remove takes c out of its session.
func (r *registry) remove(c *nodeConn) {
	r.mu.Lock()
	isC := func(other *nodeConn) bool { return other == c }
	c.session.conns = slices.DeleteFunc(c.session.conns, isC)
	c.session.lanes = slices.DeleteFunc(c.session.lanes, isC)
	if c.process != nil {
		c.process.users--
	}
	r.mu.Unlock()
	r.tidy(c.session)
}

// tidy forgets a session with nothing left, and ends the relays of processes that another one of the node has
// replaced.
func (r *registry) tidy(session *session) {
	r.mu.Lock()
	var over []*process
	for instance, p := range session.processes {
		// An older connection of a process that still runs has replaced nobody.
		primary := session.primaryLocked()
		followed := primary != nil && primary.turn > p.turn
		switch relays, _ := p.Size(); {
		case p.users > 0:
		case followed:
			over = append(over, p)
			fallthrough
		case relays == 0:
			delete(session.processes, instance)
			r.lastRelay = max(r.lastRelay, p.Last()) // a process that comes back knows the earlier numbers
		}
	}
	if len(session.conns)+len(session.lanes)+len(session.processes) == 0 && r.sessions[session.key] == session {
		delete(r.sessions, session.key)
	}
	r.mu.Unlock()
	for _, p := range over {
		p.PeerReplaced()
	}
}

// close lets no more connections join and returns those that exist.
func (r *registry) close() []*nodeConn {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	return r.conns(isAny)
}

// isAny is for conns.
func isAny(*session, *nodeConn) bool { return true }

func (r *registry) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// conns returns the connections of all sessions for which want is true. want is called with mu held.
func (r *registry) conns(want func(*session, *nodeConn) bool) (conns []*nodeConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, session := range r.sessions {
		for _, c := range slices.Concat(session.conns, session.lanes) {
			if want(session, c) {
				conns = append(conns, c)
			}
		}
	}
	return conns
}

// primary returns the connection of a node that takes its relays; nil: it has none.
func (r *registry) primary(node certs.NodeID) *nodeConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if session := r.sessions[sessionKey{node: node}]; session != nil {
		return session.primaryLocked()
	}
	return nil
}

// primaryLocked returns the newest connection, which takes the relays; nil: there are only lanes, or relays that
// wait for a connection. registry.mu is held.
func (s *session) primaryLocked() *nodeConn {
	if len(s.conns) == 0 {
		return nil
	}
	return s.conns[len(s.conns)-1]
}

// lanesOf returns the lanes of the process of c.
func (r *registry) lanesOf(c *nodeConn) []*nodeConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.session.lanes), func(lane *nodeConn) bool { return lane.instance != c.instance })
}

// associations returns those of all sessions.
func (r *registry) associations() (all []*association.Association) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, session := range r.sessions {
		for _, p := range session.processes {
			all = append(all, p.Association)
		}
	}
	return all
}
