package association

import (
	"context"
	"maps"
	"slices"
	"sync"

	"apquic/framing"
)

// Member is what a Set holds: a relay, whether it resumes or not.
type Member interface {
	// Lost is called when c can no longer carry the relay: it resumes over another connection, or ends.
	Lost(c *Carrier)
	// HasUnacked reports whether the relay has sent what the peer has not acked, and would send it again over
	// another connection.
	HasUnacked() bool
	// Discard ends both directions at once.
	Discard(code framing.ErrorCode)
}

// Set holds the relays of a connection, or of several. When the connection or the process ends, Discard or
// Lost ends them; a server that drains waits for them.
type Set struct {
	mu      sync.Mutex
	relays  map[Member]struct{}
	total   uint64        // ever added
	refused bool          // the set is closed
	idle    chan struct{} // closed when there are no relays; nil until somebody waits
}

// Add takes m in. It reports false if the set is closed.
func (s *Set) Add(m Member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused {
		return false
	}
	if s.relays == nil {
		s.relays = make(map[Member]struct{})
	}
	s.relays[m] = struct{}{}
	s.total++
	return true
}

// Remove takes m out.
func (s *Set) Remove(m Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.relays, m)
	if len(s.relays) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// All returns the relays that are carried now.
func (s *Set) All() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.relays))
}

// Len counts the relays that are carried now.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.relays)
}

// Total counts all relays that ever came.
func (s *Set) Total() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Discard resets all relays and refuses new ones.
func (s *Set) Discard(code framing.ErrorCode) {
	for _, m := range s.refuse() {
		m.Discard(code)
	}
}

// refuse closes the set and returns the relays in it.
func (s *Set) refuse() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = true
	return slices.Collect(maps.Keys(s.relays))
}

// CloseWhenIdle waits until the set is empty and closes it at that moment, or returns when ctx ends.
func (s *Set) CloseWhenIdle(ctx context.Context) {
	for {
		s.mu.Lock()
		if len(s.relays) == 0 {
			s.refused = true
			s.mu.Unlock()
			return
		}
		if s.idle == nil {
			s.idle = make(chan struct{})
		}
		idle := s.idle
		s.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}
