package relay

// bulk is how many bytes a relay carries between two calls of Spread if it is worth to be moved.
const bulk = 16 << 10

// Spread has relays of a connection that loss limits go on over others that have fewer, as long as they carry much. It is to
// be called again and again while that lasts.
func (a *Association) Spread(c *Carrier) {
	if a == nil {
		return
	}
	a.mu.Lock()
	var others []int // how many relays they have
	for _, other := range a.carriers {
		if other != c && other.isGoodLocked() {
			others = append(others, other.Relays.Len())
		}
	}
	a.mu.Unlock()
	have := c.Relays.Len()
	for _, m := range c.Relays.All() {
		s, ok := m.(*resumable)
		if !ok || !s.isBulk() {
			continue
		}
		for i, n := range others {
			if n+1 < have {
				others[i]++
				have--
				s.Lost(c)
				break
			}
		}
	}
}

// isBulk reports whether much was carried since the last call.
func (s *resumable) isBulk() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.looked
	s.looked = s.in.position + s.out.kept.end
	return s.looked-before >= bulk
}
