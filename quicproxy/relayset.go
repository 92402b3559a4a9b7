package quicproxy

import (
	"context"
	"sync"

	"apquic/framing"
)

// aborter is what a relaySet holds: a relay, or a stream that a caller of Node.Listen accepted.
type aborter interface{ abort(code framing.ErrorCode) }

// relaySet holds the running relays of a connection. When the connection or the process ends, abort ends
// them; a draining one waits for them.
type relaySet struct {
	mu      sync.Mutex
	relays  map[aborter]struct{}
	total   uint64        // that ever began
	refused bool          // no relay may begin any more
	idle    chan struct{} // closed when there are no relays; nil until somebody waits
}

// add reports whether r may run; if not, the set has ended.
func (s *relaySet) add(r aborter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused {
		return false
	}
	if s.relays == nil {
		s.relays = make(map[aborter]struct{})
	}
	s.relays[r] = struct{}{}
	s.total++
	return true
}

func (s *relaySet) remove(r aborter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.relays, r)
	if len(s.relays) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
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
	s.mu.Lock()
	s.refused = true
	running := make([]aborter, 0, len(s.relays))
	for r := range s.relays {
		running = append(running, r)
	}
	s.mu.Unlock()
	for _, r := range running {
		r.abort(code)
	}
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
