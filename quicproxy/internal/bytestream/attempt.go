package bytestream

import (
	"context"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

// markLost gives up a QUIC stream, if it is still the current one: its connection ended or does not answer,
// another stream replaced it, or the peer gave it up.
func (s *resumable) markLost(stream quicstream.Stream) {
	s.mu.Lock()
	if stream == nil || s.stream != stream {
		s.mu.Unlock()
		return
	}
	carrier := s.carrier
	s.attemptsLocked().lostOn = carrier
	s.detachLocked()
	s.mu.Unlock()
	quicstream.Reset(stream, framing.ErrorRelayMoved)
	carrier.Abandoned(stream)
	s.reopenOrAsk()
}

// Lost implements association.Member.
func (s *resumable) Lost(c *association.Carrier) {
	s.mu.Lock()
	stream := s.stream
	if s.carrier != c {
		stream = nil
	}
	s.mu.Unlock()
	s.markLost(stream)
}

func (s *resumable) detachLocked() {
	s.noteSeenLocked()
	if s.carrier != nil {
		s.carrier.Relays.Remove(s)
	}
	s.stream, s.carrier = nil, nil
	s.in.lost()
	s.out.lost()
	s.changedLocked()
}

// reopenOrAsk opens the next attempt, or asks the side for it that may.
func (s *resumable) reopenOrAsk() {
	s.mu.Lock()
	wanted := !s.overLocked()
	if wanted && s.header != nil && !s.isReopeningLocked() {
		ctx, cancel := context.WithCancel(context.Background())
		s.attemptsLocked().cancel = cancel
		s.working.Go(func() { s.reopen(ctx) })
	}
	s.mu.Unlock()
	if wanted && s.header == nil {
		s.ack(ackSoon)
	}
}
