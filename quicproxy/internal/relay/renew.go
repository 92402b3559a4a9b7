package relay

// Renew has the relays of a connection that answers again after an outage, and have sent what was not acked, go on over other
// streams, on the same connection if there is no other: what is under way on the old ones waits for QUIC's retransmission
// timer, which may take as long as the outage did, while a new stream begins at once.
func (a *Association) Renew(c *Carrier) {
	for _, m := range c.Relays.All() {
		if s, ok := m.(*resumable); ok && s.hasUnacked() {
			s.Lost(c)
		}
	}
}

func (s *resumable) hasUnacked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.kept.size() > 0
}
