package bytestream

import (
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// CloseWrite implements Stream.
func (s *resumable) CloseWrite() error {
	s.end(framing.NoError)
	return nil
}

// end ends this side's direction, on the stream if all before was sent there.
func (s *resumable) end(code framing.ErrorCode) {
	s.mu.Lock()
	var stream quicstream.Stream
	if s.out.state == onStream && !s.out.ended {
		stream = s.stream
	}
	s.out.end(code)
	s.lastAck = time.Now()
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		quicstream.End(stream, code)
	}
}

// CancelRead implements Stream.
func (s *resumable) CancelRead() {
	s.mu.Lock()
	if s.in.state == over {
		s.mu.Unlock()
		return
	}
	stream, reads := s.stream, s.in.state == onStream
	s.in.stop(net.ErrClosed)
	s.stopped = true
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil && reads {
		stream.CancelRead(quic.StreamErrorCode(framing.NoError))
	}
	s.ack(ackSoon)
}

// Reset implements Stream.
func (s *resumable) Reset(code framing.ErrorCode) {
	s.mu.Lock()
	if s.resetCode == framing.NoError {
		s.resetCode, s.final = code, s.out.unacked.End()
	}
	stream, reads := s.stream, s.in.state == onStream
	s.in.stop(net.ErrClosed)
	s.mu.Unlock()
	s.end(code)
	if stream != nil && reads {
		stream.CancelRead(quic.StreamErrorCode(code))
	}
	s.ack(ackSoon)
}

// Discard implements Stream.
func (s *resumable) Discard(code framing.ErrorCode) {
	s.mu.Lock()
	if s.finished || s.in.state == over && s.out.state == over {
		s.mu.Unlock()
		return
	}
	if s.resetCode == framing.NoError {
		s.resetCode = code
	}
	s.final = 0
	s.in.stop(net.ErrClosed)
	s.out.stop(net.ErrClosed)
	stream := s.stream
	s.noteSeenLocked()
	seen := s.seen
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		if seen { // else the peer need not even see the header
			stream.SetReliableBoundary()
		}
		quicstream.Reset(stream, code)
	}
	s.notify(true)
	s.ack(ackSoon)
}

// Watch implements Stream.
func (s *resumable) Watch(ended func(reset bool)) {
	if stream, _ := s.Current(); stream != nil {
		s.look(stream)
	}
	s.watch(ended)
}

// look notices that the peer stopped reading from the current stream, even while nothing is sent. That it
// only moved will show when something is.
func (s *resumable) look(stream quicstream.Stream) {
	code, stopped := quicstream.StoppedBy(stream)
	s.mu.Lock()
	current := s.stream == stream && s.out.state != over
	s.mu.Unlock()
	if stopped && current && code != framing.ErrorRelayMoved {
		s.endedByPeer(code)
	}
}

// endedByPeer stops sending, since the peer stopped the stream with a code. It returns the error for writes.
func (s *resumable) endedByPeer(code framing.ErrorCode) error {
	if code == framing.NoError {
		s.stoppedByPeer()
		return ErrStopped
	}
	reset := &ResetError{code}
	s.resetByPeer(reset, unknownFinal)
	return reset
}

// stoppedByPeer: the peer reads no more.
func (s *resumable) stoppedByPeer() {
	s.mu.Lock()
	s.out.stop(ErrStopped)
	stream, introduced := s.stream, !s.isReopeningLocked()
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		if !introduced {
			stream.SetReliableBoundary() // the other side cannot answer a header that the reset overtakes
		}
		stream.CancelWrite(quic.StreamErrorCode(framing.NoError))
	}
	s.notify(false)
}

// unknownFinal is the final size of a reset whose place only the stream knows.
const unknownFinal = 1<<64 - 1

// resetByPeer: the peer reset the relay after so many bytes.
func (s *resumable) resetByPeer(err *ResetError, final uint64) {
	s.mu.Lock()
	whole := s.in.err == io.EOF && s.out.ended // the peer forgot a complete relay, and cuts nothing off
	s.out.stop(err)
	if s.in.state != over && (s.in.reset == nil || final < s.in.final) {
		s.in.resetAt(final, err)
		if s.in.state != over && s.lingering == nil {
			s.lingering = time.AfterFunc(ResetLinger, s.stopWaiting)
		}
	}
	stream, ended := s.stream, s.in.state == over
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayReset))
		if ended {
			stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayReset))
		}
	}
	if !whole {
		s.notify(true)
	}
	s.ack(ackSoon)
}

// stopWaiting ends a relay that the peer reset, whatever has not arrived.
func (s *resumable) stopWaiting() {
	s.mu.Lock()
	stream := s.stream
	if s.in.state == resuming {
		stream = nil
	}
	s.in.stop(s.in.reset)
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayReset))
	}
}
