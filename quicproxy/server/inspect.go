package server

import "apquic/quicproxy/internal/inspect"

// Inspect is for the tests of this module.
func (s *Server) Inspect() inspect.Server {
	i := inspect.Server{Associations: s.associations(), Memory: s.memory, Clients: s.clients, Strangers: s.strange.Len()}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Sessions = len(s.sessions)
	for _, session := range s.sessions {
		for _, c := range session.conns {
			i.Primary = append(i.Primary, &c.Conn)
		}
		for _, c := range session.lanes {
			i.Lanes = append(i.Lanes, &c.Conn)
		}
	}
	return i
}
