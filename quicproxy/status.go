package quicproxy

import (
	"cmp"
	"slices"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// Counters only grow.
type Counters struct {
	Relays   uint64 // relays begun
	Refused  uint64 // public connections that were reset without a relay
	Stalled  uint64 // relays that were reset for want of memory
	ToNode   uint64 // bytes of ended relays
	FromNode uint64
}

// ServerStatus is a copied snapshot of a server.
type ServerStatus struct {
	Sessions []SessionStatus // by node id
	Leases   []lease.Lease   // by port
	Counters Counters
}

// SessionStatus is one live connection of a node.
type SessionStatus struct {
	Node     certs.NodeID
	Address  string // as the server sees it
	Version  string
	Instance uint64 // the number of the node's process
	Since    time.Time
	Relays   int  // running now
	Primary  bool // takes new relays
	Lane     bool // shares the relays of the primary one
}

// Status returns a snapshot.
func (s *Server) Status() ServerStatus {
	status := ServerStatus{Leases: s.lessor.Leases()}
	s.mu.Lock()
	defer s.mu.Unlock()
	status.Counters = s.counters
	status.Counters.Stalled = s.memory.resets()
	for _, session := range s.sessions {
		for i, c := range slices.Concat(session.conns, session.lanes) {
			status.Sessions = append(status.Sessions, SessionStatus{
				Node: c.node, Address: c.quic.RemoteAddr().String(), Version: c.version, Instance: c.instance,
				Since: c.since, Relays: c.relays.len(), Primary: i == len(session.conns)-1, Lane: c.lane,
			})
		}
	}
	slices.SortStableFunc(status.Sessions, func(a, b SessionStatus) int { return cmp.Compare(a.Node.String(), b.Node.String()) })
	return status
}

// count changes the counters.
func (s *Server) count(change func(*Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.counters)
}

func (s *Server) relayEnded(r *relay) {
	s.count(func(n *Counters) {
		n.ToNode += r.toStreamBytes.Load()
		n.FromNode += r.toTCPBytes.Load()
	})
}
