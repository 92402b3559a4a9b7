package relay

import (
	"context"

	"apquic/framing"
)

// lose gives a QUIC stream up, if it is still the current one: the connection ended, another one took its place, it
// does not answer, or the peer says so.
func (s *resumable) lose(stream QUICStream) {
	s.mu.Lock()
	if stream == nil || s.stream != stream {
		s.mu.Unlock()
		return
	}
	carrier := s.carrier
	s.left = carrier
	s.detachLocked()
	s.mu.Unlock()
	cancel(stream, framing.ErrorRelayMoved)
	carrier.Abandoned(stream)
	s.seek()
}

// Lost implements Member.
func (s *resumable) Lost(c *Carrier) {
	s.mu.Lock()
	stream := s.stream
	if s.carrier != c {
		stream = nil
	}
	s.mu.Unlock()
	s.lose(stream)
}

func (s *resumable) detachLocked() {
	s.listenLocked()
	if s.carrier != nil {
		s.carrier.Relays.remove(s)
	}
	s.stream, s.carrier = nil, nil
	s.in.lost()
	s.out.lost()
	s.changedLocked()
}

// seek has the next attempt opened, or asks for it.
func (s *resumable) seek() {
	s.mu.Lock()
	wanted := !s.overLocked()
	if wanted && s.header != nil && s.opening == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.opening = cancel
		s.working.Go(func() { s.reopen(ctx) })
	}
	s.mu.Unlock()
	if wanted && s.header == nil {
		s.tell(soon)
	}
}
