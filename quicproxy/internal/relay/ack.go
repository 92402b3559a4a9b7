package relay

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

const (
	// One message acks many relays. Nothing but memory waits for an ack, so that of a few bytes may come
	// late; that of much, of an end, and of a lost stream may not.
	ackDelay = int64(time.Second)
	ackSoon  = int64(25 * time.Millisecond)
	ackNow   = int64(0)
	// ackEvery is how many bytes of a relay are acked at once.
	ackEvery = 1 << 20
	// maxAcks is how many relays one message acks, and maxClosed how many may be queued that are no longer
	// here.
	maxAcks   = 1000
	maxClosed = 4096

	noAck = int64(-1)
)

// ack has the peer told how far this side is, within so many nanoseconds.
func (s *resumable) ack(within int64) {
	if already := s.ackDue.Load(); already != noAck && already <= within {
		return
	}
	s.ackDue.Store(within)
	a := s.association
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[s.number] == s {
		a.queueAckLocked(s, within)
	}
}

// ackAll acks every relay again: the connection that carried earlier acks may have lost them.
func (a *Association) ackAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.relays {
		s.ackDue.Store(ackSoon)
		a.queueAckLocked(s, ackSoon)
	}
}

// progress returns what to tell the peer of this side.
func (s *resumable) progress(p *framing.RelayProgress) {
	s.ackDue.Store(noAck)
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

// Handle takes what the other side told over c of its relays.
func (a *Association) Handle(c *Carrier, message *framing.Progress) {
	a.mu.Lock()
	c.carriedAcks = true
	a.mu.Unlock()
	for _, p := range message.Relays {
		if s := a.relay(p.Relay); s != nil {
			s.handleProgress(p)
		} else if p.ResetCode == 0 {
			a.answer(p.Relay)
		}
	}
}

// answer tells the peer that a relay it named is over. One that has not begun here may still be on its way.
func (a *Association) answer(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[number] != nil || a.opens && number > a.last || !a.opens && !a.seen.has(number) {
		return
	}
	if a.acks.addClosed(number, &framing.RelayProgress{Relay: number, ResetCode: uint32(framing.ErrorUnknownRelay)}) {
		a.scheduleLocked(time.Duration(ackSoon))
	}
}

// handleProgress takes what the peer told of this relay.
func (s *resumable) handleProgress(p *framing.RelayProgress) {
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
