package limit

import "sync"

// Shares counts which things, such as leases, belong to whom, and lets nobody have more than so many.
type Shares[O, T comparable] struct {
	max int

	mu     sync.Mutex
	owners map[T]O
	counts map[O]int
}

// NewShares lets each owner have max things.
func NewShares[O, T comparable](max int) *Shares[O, T] {
	return &Shares[O, T]{max: max, owners: make(map[T]O), counts: make(map[O]int)}
}

// Take makes thing the owner's, and reports false if that has its share already. What another one had changes hands.
func (s *Shares[O, T]) Take(owner O, thing T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, had := s.owners[thing]
	if had && before == owner {
		return true
	}
	if s.counts[owner] >= s.max {
		return false
	}
	if had {
		s.dropLocked(before)
	}
	s.owners[thing] = owner
	s.counts[owner]++
	return true
}

// Give frees the place of thing.
func (s *Shares[O, T]) Give(thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner, had := s.owners[thing]; had {
		delete(s.owners, thing)
		s.dropLocked(owner)
	}
}

func (s *Shares[O, T]) dropLocked(owner O) {
	if s.counts[owner]--; s.counts[owner] == 0 {
		delete(s.counts, owner)
	}
}
