package bytestream

import (
	"errors"
	"io"
	"os"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// Wait implements Stream.
func (s *resumable) Wait() {
	for {
		s.mu.Lock()
		stream, err := s.readableLocked()
		s.mu.Unlock()
		if err != nil || stream == nil {
			return
		}
		var one [1]byte
		if _, err := stream.Peek(one[:]); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		// Read, unlike Peek, has quic-go forget a stream that failed.
		if n, err := stream.Read(one[:]); n > 0 || !s.readFailed(stream, err) {
			return
		}
	}
}

// Read implements Stream.
func (s *resumable) Read(b []byte) (int, error) {
	for {
		s.mu.Lock()
		stream, err := s.readableLocked()
		n := 0
		if err == nil && stream == nil {
			n = s.takeStripedLocked(b)
		}
		s.mu.Unlock()
		if err != nil {
			return 0, err
		}
		if stream == nil {
			s.ack(ackSoon)
			if n > 0 {
				return n, nil
			}
			continue
		}
		n, err = stream.Read(b)
		if n, taken := s.countRead(stream, n); taken && n > 0 {
			if err != nil {
				s.readFailed(stream, err)
			}
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if err != nil {
			s.readFailed(stream, err)
		}
	}
}

// readableLocked waits until something can be read, and returns the stream to read from; nil: stripes brought
// it.
func (s *resumable) readableLocked() (quicstream.Stream, error) {
	for {
		switch {
		case s.in.state == over:
			return nil, s.in.err
		case s.in.state == onStream && s.stream != nil:
			return s.stream, nil
		case s.in.state == striped && s.hasStripedLocked():
			return nil, nil
		case s.deadlines != nil && passed(s.read):
			return nil, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// countRead counts n bytes read from stream. It reports false if they do not count, because they will come
// again over another stream.
func (s *resumable) countRead(stream quicstream.Stream, n int) (int, bool) {
	s.mu.Lock()
	if s.stream != stream || s.in.state == over {
		s.mu.Unlock()
		return 0, false
	}
	s.seen = true
	if n == 0 {
		s.mu.Unlock()
		return 0, true
	}
	s.confirmed = true
	s.in.advance(n)
	s.sinceAck += int32(n)
	within := ackDelay
	if s.sinceAck >= ackEvery {
		s.sinceAck, within = 0, ackNow
	}
	if s.in.state == over {
		within = ackSoon
		s.changedLocked()
	}
	s.mu.Unlock()
	s.ack(within)
	return n, true
}

// readFailed handles the error of a read. It reports whether reading may go on.
func (s *resumable) readFailed(stream quicstream.Stream, err error) (more bool) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.mu.Lock()
	if s.stream != stream || s.in.state == over {
		s.mu.Unlock()
		return true // this side no longer reads it
	}
	if err == io.EOF {
		s.in.eof()
		s.changedLocked()
		s.mu.Unlock()
		s.ack(ackSoon)
		return true
	}
	code, remote := quicstream.RemoteCode(err)
	if remote && code == framing.ErrorRelayStriped {
		s.in.stripe()
		s.changedLocked()
		s.mu.Unlock()
		return true
	}
	s.mu.Unlock()
	if remote && code != framing.ErrorRelayMoved && code != framing.NoError {
		s.resetByPeer(&ResetError{code}, 0)
	} else {
		s.markLost(stream)
	}
	return true
}
