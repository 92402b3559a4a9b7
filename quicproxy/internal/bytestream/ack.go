package bytestream

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

const (
	// Nothing but memory waits for an ack, so that of a few bytes may come late; that of much, of an end, and
	// of a lost stream may not.
	ackDelay = time.Second
	ackSoon  = association.Soon
	ackNow   = time.Duration(0)
	// ackEvery is how many bytes of a relay are acked at once.
	ackEvery = 1 << 20

	noAck = time.Duration(-1)
)

// ack tells the peer how far this side is, after this time at the latest.
func (s *resumable) ack(within time.Duration) {
	if already := time.Duration(s.ackDue.Load()); already != noAck && already <= within {
		return
	}
	s.ackDue.Store(int64(within))
	s.association.Ack(s, within)
}

// Progress implements association.Resumable.
func (s *resumable) Progress(p *framing.RelayProgress) {
	s.ackDue.Store(int64(noAck))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinceAck = 0
	arrived := s.arrivedLocked()
	p.Relay, p.Received, p.Stopped, p.ResetCode, p.Final = s.number, s.in.position, s.stopped, uint32(s.resetCode), s.final
	if arrived > p.Received {
		p.Arrived = arrived
	}
	if s.resetCode == framing.NoError {
		p.Final = 0
		if s.header == nil && s.stream == nil && !s.overLocked() {
			p.Lost = s.attempt
		}
	}
}

// HandleProgress implements association.Resumable.
func (s *resumable) HandleProgress(p *framing.RelayProgress) {
	s.mu.Lock()
	s.seen, s.confirmed = true, true
	before := s.out.unacked.Begin()
	err := s.checkArrivedLocked(p) // before anything is released: whoever sends must not find less than it counts on
	if err == nil {
		err = s.out.acked(p.Received)
	}
	if err == nil {
		s.arrivedAtPeerLocked(p, before)
	}
	if s.out.unacked.Begin() != before || s.out.state == over {
		s.lastAck = time.Now()
		s.changedLocked()
	}
	var lost quicstream.Stream
	if s.header != nil && p.Lost == s.attempt {
		lost = s.stream
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.Discard(framing.ErrorRelayReset) // it acked what was never sent
	case p.ResetCode != 0:
		s.resetByPeer(&ResetError{framing.ErrorCode(p.ResetCode)}, p.Final)
	default: // a peer that takes no more may have lost the stream as well
		if p.Stopped {
			s.stoppedByPeer()
		}
		if lost != nil {
			s.markLost(lost)
		}
	}
}
