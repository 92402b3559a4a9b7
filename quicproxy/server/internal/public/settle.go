package public

import "apquic/internal/usage"

// Settle tells Config.Ledger what has passed since the last time. A port that was closed is remembered until its last
// client has left, or has to, since the node is out of bytes.
func (s *Listeners) Settle() {
	s.settling.Lock()
	defer s.settling.Unlock()
	s.mu.Lock()
	closed := s.unbound
	s.unbound = nil
	s.mu.Unlock()
	for _, p := range s.all() {
		p.settle()
	}
	for _, p := range closed {
		if p.settle() > 0 {
			s.mu.Lock()
			s.unbound = append(s.unbound, p)
			s.mu.Unlock()
		}
		if s.config.IsOut(p.Key.Node) {
			p.reset()
		}
	}
}

// settle tells the ledger what has passed at the port since the last time, and returns how many clients there were before.
func (p *Listener) settle() (clients int) {
	t := p.Traffic()
	now := usage.Counts{In: t.ToNode, Out: t.FromNode, Connections: t.relays, Flows: p.begun.Load(), Refused: p.refused.Load()}
	p.all.config.Ledger.Add(p.Key, now.Since(p.settled))
	p.settled = now
	return t.Clients + t.Flows
}

// rememberLocked has a port that is about to be closed settled once more.
func (s *Listeners) rememberLocked(p *Listener) {
	if p != nil && s.config.Ledger != nil {
		s.unbound = append(s.unbound, p)
	}
}
