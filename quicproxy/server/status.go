package server

import (
	"bytes"
	"context"
	"slices"
	"time"

	"apquic/internal/machine"
	"apquic/lease"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server/internal/public"
)

// Counters never decrease.
type Counters = live.Counters

// Status is a copied snapshot of a server.
type Status struct {
	Since    time.Time                  // when the server was created
	Sessions []SessionStatus            // by node id
	Leases   []lease.Lease              // by endpoint
	Traffic  map[lease.Endpoint]Traffic // of those that are open
	Private  map[lease.Key]Traffic      // of private services, which have no lease
	Canaries map[lease.Key]live.Canary  // of services that are asked whether they answer
	Counters Counters
	Budgets  live.Budgets
}

// Traffic is what has passed through a public port or domain since it was opened.
type Traffic = public.Traffic

// SessionStatus is one live connection of a node.
type SessionStatus = live.Session

// Status returns a snapshot.
func (s *Server) Status() Status {
	status := Status{Since: s.since, Leases: s.lessor.Leases(), Traffic: s.public.Traffic(), Private: s.public.PrivateTraffic(), Counters: s.tally.Now(), Budgets: s.Budgets()}
	status.Canaries, status.Counters.Canaries = s.canaries.Status(), s.canaries.Took()
	s.registry.mu.Lock()
	for _, session := range s.registry.sessions {
		for _, c := range slices.Concat(session.conns, session.lanes) {
			status.Sessions = append(status.Sessions, c.status(c == session.primaryLocked() && !c.connects))
		}
	}
	s.registry.mu.Unlock()
	slices.SortStableFunc(status.Sessions, func(a, b SessionStatus) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	return status
}

// Budgets returns those of a snapshot, at a cost that does not grow with nodes.
func (s *Server) Budgets() live.Budgets {
	clients, flows := s.public.Usage()
	files := live.Usage{Used: int64(machine.OpenFiles()), Limit: int64(machine.Descriptors())}
	return live.Budgets{Memory: live.Usage{Used: s.memory.Used(), Limit: s.memory.Limit()}, Clients: clients, Flows: flows, Files: files}
}

func (c *nodeConn) status(primary bool) SessionStatus {
	path := c.Path()
	c.where.Tell(&path)
	return SessionStatus{
		Node: c.node, Name: c.admission.Name, Address: c.QUIC.RemoteAddr().String(), Version: c.version, Instance: c.instance, Since: c.since,
		Relays: c.Relays.Len(), Primary: primary, Lane: c.Lane, Connects: c.connects, Silent: c.silent.Load(), Path: path, Turn: c.turn, Memory: c.account.Memory.Used(),
	}
}

// Relays returns the relays that are selected, and the clients that wait for their node, and how many there are.
func (s *Server) Relays(which live.Selection) ([]live.Relay, int) { return s.public.Relays(which) }

// Flows returns the flows that are selected, and how many there are.
func (s *Server) Flows(which live.Selection) ([]live.Flow, int) { return s.public.Flows(which) }

// Forget gives up the lease of a service whose node is away; see lease.Lessor.Forget for its errors.
func (s *Server) Forget(ctx context.Context, key lease.Key) error { return s.lessor.Forget(ctx, key) }
