package quicproxy

// Inspect is for the tests of this module.
func (s *Server) Inspect() serverInspection {
	s.strange.mu.Lock()
	strangers := len(s.strange.waiting)
	s.strange.mu.Unlock()
	i := serverInspection{Associations: s.associations(), Memory: s.memory, Clients: s.clients, Strangers: strangers}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Sessions = len(s.sessions)
	for _, session := range s.sessions {
		for _, c := range session.conns {
			i.Primary = append(i.Primary, &c.carrier)
		}
		for _, c := range session.lanes {
			i.Lanes = append(i.Lanes, &c.carrier)
		}
	}
	return i
}
