// Package members knows which nodes offer the service of a lease, over which connections, and which of them
// gets the next client. Of an ordinary lease there is one node, of a group several.
//
// It must not know clients, or act on a connection. Its callers lock.
package members

import (
	"cmp"
	"slices"
	"time"

	"apquic/certs"
)

// refusalPause is how long others are preferred to a node whose service refused a client: one that takes
// nobody always has the fewest clients.
const refusalPause = 10 * time.Second

// Offer is what a node says of the service that it offers.
type Offer struct {
	Node      certs.NodeID
	Service   string        // what the node calls it
	Movable   bool          // its relays may resume over other connections
	Unhealthy bool          // it wants no new clients
	PlainHTTP bool          // clients of its domain need not speak TLS
	Canary    time.Duration // how often it wants to be asked whether the service answers; 0: never
}

// Target is a connection of a node.
type Target interface {
	comparable
	// Silent reports whether the node does not acknowledge what it is sent.
	Silent() bool
}

// Member is a node that offers the service. It stays one while it has a connection, or clients.
type Member[T Target] struct {
	Node    certs.NodeID // does not change
	Offer   Offer        // the last one
	Target  T            // the connection that asked for the lease last; zero: the node is away
	serving bool         // Target takes new clients
	clients int          // that it has
	turn    uint64       // of its last client
	refused time.Time    // when its service last refused one
}

// Members are the nodes that offer the service of a lease.
type Members[T Target] struct {
	all       []*Member[T]
	turns     uint64
	plainHTTP bool
	canary    time.Duration
}

// Connected reports whether the node is here.
func (m *Member[T]) Connected() bool {
	var none T
	return m.Target != none
}

// TakesClients reports whether new clients may go to m.
func (m *Member[T]) TakesClients() bool {
	return m.Connected() && m.serving && !m.Offer.Unhealthy && !m.Target.Silent()
}

// Choose returns the member that a new client goes to: among those that take clients, over a connection not
// tried yet, the one with the fewest, and of these the one that has waited longest for one; nil: none. Those
// whose service has just refused one come last.
func (s *Members[T]) Choose(tried ...T) (best *Member[T]) {
	return s.choose(func(m *Member[T]) bool { return !slices.Contains(tried, m.Target) })
}

func (s *Members[T]) choose(may func(*Member[T]) bool) (best *Member[T]) {
	now := time.Now()
	for _, m := range s.all {
		if m.TakesClients() && may(m) && (best == nil || m.compare(best, now) < 0) {
			best = m
		}
	}
	return best
}

// Canary returns the member to ask whether the service answers: of those that want that, the one that a new client would
// go to; nil: none. every is the shortest time that a node that is connected wants between two of these, or the last
// one that was wanted; 0: nobody wants them.
func (s *Members[T]) Canary() (m *Member[T], every time.Duration) {
	return s.choose(func(m *Member[T]) bool { return m.Offer.Canary > 0 }), s.canary
}

func (m *Member[T]) compare(other *Member[T], now time.Time) int {
	return cmp.Or(m.refusals(now)-other.refusals(now), cmp.Compare(m.clients, other.clients), cmp.Compare(m.turn, other.turn))
}

// refusals is 1 for a while after the service refused a client.
func (m *Member[T]) refusals(now time.Time) int {
	if m.refused.IsZero() || now.Sub(m.refused) >= refusalPause {
		return 0
	}
	return 1
}

// Give counts a client of m.
func (s *Members[T]) Give(m *Member[T]) {
	s.turns++
	m.clients, m.turn = m.clients+1, s.turns
}

// Take uncounts a client of m; refused: its service did not take it.
func (s *Members[T]) Take(m *Member[T], refused bool) {
	if m.clients--; refused {
		m.refused = time.Now()
	}
	s.tidy()
}

// Status describes a member.
type Status struct {
	Node      certs.NodeID
	Service   string // what the node calls it
	Clients   int    // now
	Connected bool
	Unhealthy bool
}

// Status describes the members.
func (s *Members[T]) Status() (all []Status) {
	for _, m := range s.all {
		all = append(all, Status{m.Node, m.Offer.Service, m.clients, m.Connected(), m.Offer.Unhealthy})
	}
	return all
}

// Of returns the member that has a connection; nil: it was replaced, or has left.
func (s *Members[T]) Of(t T) *Member[T] {
	return s.Find(func(m *Member[T]) bool { return m.Connected() && m.Target == t })
}

// Attach makes t the connection of its node, instead of the one before. It reports whether that changes
// anything.
func (s *Members[T]) Attach(t T, offer Offer) (changed bool) {
	m := s.Find(func(m *Member[T]) bool { return m.Node == offer.Node })
	if m == nil {
		m = &Member[T]{Node: offer.Node}
		s.all = append(s.all, m)
	}
	before := *m
	m.Target, m.serving, m.Offer = t, true, offer
	s.tidy()
	return before != *m
}

// SetServing says whether t takes new clients.
func (s *Members[T]) SetServing(t T, serving bool) {
	if m := s.Of(t); m != nil {
		m.serving = serving
	}
}

// Leave ends the part of t. It reports whether t had one, and no other connection has one now.
func (s *Members[T]) Leave(t T) (last bool) {
	m := s.Of(t)
	if m == nil {
		return false
	}
	s.disconnect(m)
	return s.Find((*Member[T]).Connected) == nil
}

// LeaveAll ends the parts of all.
func (s *Members[T]) LeaveAll() {
	for _, m := range slices.Clone(s.all) {
		s.disconnect(m)
	}
}

func (s *Members[T]) disconnect(m *Member[T]) {
	var none T
	m.Target, m.serving = none, false
	s.tidy()
}

// PlainHTTP reports whether clients of the domain need not speak TLS: all connected nodes say so, or said so
// last.
func (s *Members[T]) PlainHTTP() bool { return s.plainHTTP }

// tidy forgets members that are away and have no clients, and notes what those that are here have in common.
func (s *Members[T]) tidy() {
	s.all = slices.DeleteFunc(s.all, func(m *Member[T]) bool { return !m.Connected() && m.clients == 0 })
	if s.Find((*Member[T]).Connected) == nil {
		return
	}
	s.plainHTTP, s.canary = true, 0
	for _, m := range s.all {
		if m.Connected() {
			s.plainHTTP = s.plainHTTP && m.Offer.PlainHTTP
			if every := m.Offer.Canary; every > 0 && (s.canary == 0 || every < s.canary) {
				s.canary = every
			}
		}
	}
}

// Find returns the first member that is such; nil: none.
func (s *Members[T]) Find(is func(*Member[T]) bool) *Member[T] {
	if i := slices.IndexFunc(s.all, is); i >= 0 {
		return s.all[i]
	}
	return nil
}
