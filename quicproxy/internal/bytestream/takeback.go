package bytestream

import "apquic/framing"

// Seen implements Stream.
func (s *resumable) Seen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteSeenLocked()
	return s.seen
}

// noteSeenLocked notes that something came over the connection of the stream since the attempt began: the
// peer may have seen it.
func (s *resumable) noteSeenLocked() {
	if s.stream != nil && s.carrier.Received() != s.packetsBefore {
		s.seen = true
	}
}

// TakeBack implements Stream.
func (s *resumable) TakeBack() bool {
	s.mu.Lock()
	s.noteSeenLocked()
	if s.seen || s.in.state == over || s.out.state == over || s.out.unacked.Begin() > 0 {
		s.mu.Unlock()
		return false
	}
	s.takenBack = s.out.unacked.Bytes()
	s.out.stop(ErrTakenBack)
	s.mu.Unlock()
	s.Discard(framing.ErrorRelayMoved)
	return true
}

// TakenBack implements Stream.
func (s *resumable) TakenBack() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takenBack, s.takenBack != nil
}
