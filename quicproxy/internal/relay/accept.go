package relay

import (
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// accept makes a QUIC stream that the peer opened the current one. It returns why the peer may not.
func (s *resumable) accept(carrier *Carrier, stream QUICStream, header *framing.StreamHeader) (refused framing.ErrorCode) {
	s.mu.Lock()
	switch {
	case s.finished:
		s.mu.Unlock()
		return framing.ErrorUnknownRelay
	case header.Attempt <= s.attempt || !carrier.Relays.add(s):
		s.mu.Unlock()
		return framing.ErrorRelayMoved
	}
	old, before := s.stream, s.carrier
	if before == carrier {
		s.stream, s.carrier = nil, nil // it stays where it is counted
	}
	s.detachLocked()
	s.stream, s.carrier, s.attempt = stream, carrier, header.Attempt
	s.acked = time.Now()
	err := s.out.resumed(header.Received)
	if !s.mayBeReopenedLocked() {
		err = errTooMany
	}
	frame, err2 := framing.AppendStreamAnswer(nil, &framing.StreamAnswer{Received: s.in.position})
	s.mu.Unlock()
	if old != nil {
		cancel(old, framing.ErrorRelayMoved)
		before.Abandoned(old)
	}
	if before != carrier {
		s.association.askOthers(carrier)
	}
	if err = errors.Join(err, err2); err != nil {
		s.Discard(framing.ErrorRelayReset)
		return framing.NoError
	}
	s.resume(stream, frame)
	return framing.NoError
}

var errTooMany = errors.New("the relay is reopened too often")

// mayBeReopenedLocked reports whether a peer that opens attempts may open one more: each may cost the answer and all that
// is kept.
func (s *resumable) mayBeReopenedLocked() bool {
	if time.Since(s.began) > steady {
		s.failures = 0
	}
	s.failures++
	s.began = time.Now()
	return s.failures <= maxReopened
}

// maxReopened is how many attempts may follow each other within steady, and so on.
const maxReopened = 64

// resume answers the header of a stream, and sends what the peer lacks.
func (s *resumable) resume(stream QUICStream, answer []byte) {
	if err := write(stream, answer); err != nil {
		s.writeFailed(stream, 0, err)
		return
	}
	stream.SetReliableBoundary() // a reset may overtake the rest, but not the answer
	s.mu.Lock()
	if s.stream == stream {
		s.resumeReadingLocked()
	}
	s.mu.Unlock()
	s.catchUp(stream)
}

// resumeReadingLocked reads from the current stream, which is at the right place.
func (s *resumable) resumeReadingLocked() {
	if s.in.state == over {
		code := framing.NoError
		if s.code != framing.NoError {
			code = s.code
		}
		s.stream.CancelRead(quic.StreamErrorCode(code))
	}
	s.in.resumed()
	if s.deadlines != nil {
		s.stream.SetReadDeadline(s.read)
	}
	s.changedLocked()
}
