package bytestream

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// catchUp sends everything unacked over a new stream, until writes can go there directly.
func (s *resumable) catchUp(stream quicstream.Stream) {
	s.mu.Lock()
	next := s.out.unacked.Begin()
	s.mu.Unlock()
	s.catchUpFrom(stream, next)
}

func (s *resumable) catchUpFrom(stream quicstream.Stream, next uint64) {
	s.mu.Lock()
	for s.stream == stream && s.out.state == resuming && next < s.out.unacked.End() {
		end := s.out.unacked.End()
		if s.sendLocked(stream, next, end) != nil {
			break
		}
		next = end
	}
	if s.stream != stream {
		s.mu.Unlock()
		return
	}
	// A direction that is over needs only its FIN, behind the header or the answer.
	ended, code := s.out.state == over, framing.NoError
	if s.out.state == resuming {
		s.out.caughtUp()
		if s.deadlines != nil {
			stream.SetWriteDeadline(s.deadlines.write)
		}
		ended, code = s.out.ended, s.out.code
		s.changedLocked()
	}
	s.mu.Unlock()
	if ended {
		quicstream.End(stream, code)
	}
}

// sendLater has another goroutine send from an offset on, because a write that had begun had to end.
func (s *resumable) sendLater(stream quicstream.Stream, from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != stream || s.out.state != onStream || s.finished {
		return
	}
	s.out.lost()
	stream.SetWriteDeadline(time.Time{})
	s.working.Go(func() { s.catchUpFrom(stream, from) })
}
