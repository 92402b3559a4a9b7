package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/public"
)

// Counters never decrease.
type Counters struct {
	Relays   uint64 // relays begun
	Refused  uint64 // public connections reset without a relay, or told that nobody has the name
	Answered uint64 // requests that the server answered itself: sent to https, or those of an authority
	Stalled  uint64 // relays reset for lack of memory
	ToNode   uint64 // bytes of ended relays
	FromNode uint64
	// DatagramsToNodes and DatagramsFromNodes are those of flows, and DatagramsDropped those that went
	// nowhere, by reason.
	DatagramsToNodes, DatagramsFromNodes uint64
	DatagramsDropped                     map[string]uint64
}

// Status is a copied snapshot of a server.
type Status struct {
	Since    time.Time                  // when the server was created
	Sessions []SessionStatus            // by node id
	Leases   []lease.Lease              // by endpoint
	Traffic  map[lease.Endpoint]Traffic // of those that are open
	Counters Counters
}

// Traffic is what has passed through a public port or domain since it was opened.
type Traffic = public.Traffic

// SessionStatus is one live connection of a node.
type SessionStatus struct {
	Node     certs.NodeID
	Name     string // what the operator called it when it connected
	Address  string // as the server sees it
	Version  string
	Instance uint64 // the number of the node's process
	Since    time.Time
	Relays   int  // running now
	Primary  bool // takes new relays
	Lane     bool // carries relays beside the primary one
	Connects bool // only to private services of other nodes
}

// Status returns a snapshot.
func (s *Server) Status() Status {
	status := Status{Since: s.since, Leases: s.lessor.Leases(), Traffic: s.public.Traffic()}
	s.mu.Lock()
	status.Counters = s.counters
	s.mu.Unlock()
	status.Counters.DatagramsToNodes, status.Counters.DatagramsFromNodes, status.Counters.DatagramsDropped = s.datagrams.Sent.Load(), s.datagrams.Received.Load(), s.datagrams.Dropped()
	status.Counters.Stalled = s.memory.Resets()
	status.Counters.Refused, status.Counters.Answered = s.public.Refused()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for _, session := range s.registry.sessions {
		for _, c := range slices.Concat(session.conns, session.lanes) {
			status.Sessions = append(status.Sessions, SessionStatus{
				Node: c.node, Name: c.admission.Name, Address: c.QUIC.RemoteAddr().String(), Version: c.version, Instance: c.instance,
				Since: c.since, Relays: c.Relays.Len(), Primary: c == session.primaryLocked() && !c.connects, Lane: c.Lane, Connects: c.connects,
			})
		}
	}
	slices.SortStableFunc(status.Sessions, func(a, b SessionStatus) int { return cmp.Compare(a.Node.String(), b.Node.String()) })
	return status
}

// Forget gives up the lease of a service whose node is away; see lease.Lessor.Forget for its errors.
func (s *Server) Forget(ctx context.Context, key lease.Key) error { return s.lessor.Forget(ctx, key) }

// count changes the counters.
func (s *Server) count(change func(*Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.counters)
}

// relayEnded adds the bytes of a relay to the counters.
func (s *Server) relayEnded(r *relay.Relay) {
	s.count(func(n *Counters) {
		n.ToNode += r.ToStream()
		n.FromNode += r.ToTCP()
	})
}
