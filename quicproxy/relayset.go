package quicproxy

import (
	"context"
	"maps"
	"slices"
	"sync"

	"apquic/framing"
)

// member is what a relaySet holds: a relay, or a stream that a caller of Node.Listen accepted.
type member interface {
	abort(code framing.ErrorCode)
	lose() // the connection ended: the member goes on over another one, or is reset
}

// relaySet holds the running relays of a connection. When the connection or the process ends, abort ends
// them; a draining one waits for them.
type relaySet struct {
	mu      sync.Mutex
	relays  map[member]struct{}
	total   uint64        // that ever began
	refused bool          // no relay may begin any more
	idle    chan struct{} // closed when there are no relays; nil until somebody waits
}

// add reports whether r may run; if not, the set has ended.
func (s *relaySet) add(r member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused {
		return false
	}
	if s.relays == nil {
		s.relays = make(map[member]struct{})
	}
	s.relays[r] = struct{}{}
	s.total++
	return true
}

func (s *relaySet) remove(r member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.relays, r)
	if len(s.relays) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

func (s *relaySet) all() []member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.relays))
}

func (s *relaySet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.relays)
}

// begun is how many relays ever began.
func (s *relaySet) begun() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// abort resets all relays and refuses new ones.
func (s *relaySet) abort(code framing.ErrorCode) {
	for _, r := range s.refuse() {
		r.abort(code)
	}
}

// lose has all relays go on over another connection, those that can, and refuses new ones.
func (s *relaySet) lose() {
	for _, r := range s.refuse() {
		r.lose()
	}
}

// refuse lets no relay begin any more and returns those that run.
func (s *relaySet) refuse() []member {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = true
	return slices.Collect(maps.Keys(s.relays))
}

// closeWhenIdle waits until no relay runs and refuses new ones from that moment on, or returns when ctx ends.
func (s *relaySet) closeWhenIdle(ctx context.Context) {
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
