package public

// Leftovers counts the clients that are left, for tests.
func (s *Listeners) Leftovers(count func(what string, n int)) {
	count("flows", s.flows.Len())
	count("places of flows", s.config.Flows.Open())
	for _, p := range s.all() {
		p.mu.Lock()
		count("clients of a port", p.clients)
		for _, m := range p.members.Status() {
			count("clients of members", m.Clients)
		}
		count("relays of a port", len(p.relays))
		count("parked clients", len(p.parking.clients))
		p.mu.Unlock()
	}
}
