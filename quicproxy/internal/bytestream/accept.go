package bytestream

import (
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

// accept attaches a QUIC stream that the peer opened. It returns the code to refuse the stream with, or
// NoError.
func (s *resumable) accept(carrier *association.Carrier, stream quicstream.Stream, header *framing.StreamHeader) (refused framing.ErrorCode) {
	s.mu.Lock()
	switch {
	case s.finished:
		s.mu.Unlock()
		return framing.ErrorUnknownRelay
	case header.Attempt <= s.attempt || !carrier.Relays.Add(s):
		s.mu.Unlock()
		return framing.ErrorRelayMoved
	}
	old, before := s.stream, s.carrier
	if before == carrier {
		s.stream, s.carrier = nil, nil // the carrier goes on counting it
	}
	s.detachLocked()
	s.stream, s.carrier, s.attempt = stream, carrier, header.Attempt
	s.lastAck = time.Now()
	err := s.out.resumed(header.Received)
	if !s.mayBeReopenedLocked() {
		err = errTooMany
	}
	frame, err2 := framing.AppendStreamAnswer(nil, &framing.StreamAnswer{Received: s.in.position})
	s.mu.Unlock()
	if old != nil {
		quicstream.Reset(old, framing.ErrorRelayMoved)
		before.Abandoned(old)
	}
	if before != carrier {
		s.association.AskOthers(carrier)
	}
	if err = errors.Join(err, err2); err != nil {
		s.Discard(framing.ErrorRelayReset)
		return framing.NoError
	}
	s.resume(stream, frame)
	return framing.NoError
}

var errTooMany = errors.New("the relay is reopened too often")

// mayBeReopenedLocked limits how often the peer opens attempts: each one may cost the answer and everything
// unacked.
func (s *resumable) mayBeReopenedLocked() bool {
	return s.attemptsLocked().soon() < maxReopened
}

// maxReopened is how many attempts may follow one another, each within stableAfter of the one before.
const maxReopened = 64

// resume answers the header of a stream and sends what the peer lacks.
func (s *resumable) resume(stream quicstream.Stream, answer []byte) {
	if _, err := quicstream.Write(stream, answer); err != nil {
		s.writeFailed(stream, 0, err)
		return
	}
	stream.SetReliableBoundary() // a reset may overtake the rest, but not the answer
	s.mu.Lock()
	if s.stream == stream {
		s.startReadingLocked()
	}
	s.mu.Unlock()
	s.catchUp(stream)
}

// startReadingLocked reads from the current stream, now that the peer knows from which byte on to send.
func (s *resumable) startReadingLocked() {
	if s.in.state == over {
		code := framing.NoError
		if s.resetCode != framing.NoError {
			code = s.resetCode
		}
		s.stream.CancelRead(quic.StreamErrorCode(code))
	}
	s.in.resumed()
	if s.deadlines != nil {
		s.stream.SetReadDeadline(s.read)
	}
	s.changedLocked()
}
