package server

import (
	"slices"

	"apquic/quicproxy/internal/inspect"
)

// Inspect is for the tests of this module.
func (s *Server) Inspect() inspect.Server {
	i := inspect.Server{Associations: s.registry.associations(), Memory: s.memory, Clients: s.clients, Strangers: s.strange.Len(), Datagrams: &s.datagrams, Leftovers: s.leftovers}
	for _, c := range s.registry.conns(isAny) {
		if c.Lane {
			i.Lanes = append(i.Lanes, &c.Conn)
		} else {
			i.Primary = append(i.Primary, &c.Conn)
		}
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	i.Sessions = len(s.registry.sessions)
	return i
}

// leftovers counts what is left after the clients have left, and after the nodes have unless they stay.
func (s *Server) leftovers(nodesStay bool, count func(what string, n int)) {
	count("clients", s.clients.Open())
	s.public.Leftovers(count)
	carriers, users := s.memory.Leftovers(count), s.accounts.Leftovers(count)
	for _, a := range s.registry.associations() {
		relays, _ := a.Size()
		count("relays in an association", relays)
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	conns := 0
	for _, session := range s.registry.sessions {
		for _, c := range slices.Concat(session.conns, session.lanes) {
			conns++
			c.Leftovers(count)
			count("places of relays on a connection", c.carried)
			count("begun relays", c.begun.Len())
		}
		if nodesStay {
			count("processes of a node beyond one", max(len(session.processes)-1, 0))
			count("primary connections beyond one", max(len(session.conns)-1, 0))
		}
	}
	count("connections outside sessions", carriers-conns)
	count("users of accounts beyond connections", users-conns)
	if !nodesStay {
		count("sessions", len(s.registry.sessions))
		count("probes", s.probes.Len())
		count("connections of strangers", s.strange.Len())
	}
}
