package bytestream

import (
	"errors"
	"net"
	"os"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
)

// Write implements Stream.
func (s *resumable) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		p := buffer.New(buffer.Size)
		size := copy(p, b[n:])
		if err = s.write(p[:size], 0, true); err == nil {
			n += size
		}
	}
	return n, err
}

// WriteBuffer implements Stream.
func (s *resumable) WriteBuffer(p []byte) error { return s.write(p, cap(p), false) }

// write keeps what it sends, of whose memory so much counts already. It waits for a QUIC stream that takes
// it: before, for callers with a deadline, or after, so that a relay that waits holds no more than it has to;
// but nobody reads on from TCP until then.
func (s *resumable) write(p []byte, counted int, before bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitToWriteLocked(len(p), cap(p)-counted, before); err != nil {
		if err == ErrTakenBack {
			s.takenBack = append(s.takenBack, p...)
		}
		buffer.Free(p)
		s.out.unacked.Uncount(counted)
		return err
	}
	if s.out.unacked.Size() == 0 {
		s.lastAck = time.Now() // nothing was unacked
	}
	s.stripeLocked()
	at := s.out.unacked.End()
	s.out.unacked.Add(p, counted)
	if s.out.state == onStream {
		if err := s.sendLocked(s.stream, at, s.out.unacked.End()); err != nil {
			return err
		}
	}
	if s.out.state == striped {
		s.changedLocked()
	}
	for !before && s.out.state == resuming {
		s.changed.Wait()
	}
	return nil
}

// sendLocked writes the bytes between two offsets to a QUIC stream, and unlocks meanwhile. It returns nil for
// an error that only means that they go another way.
func (s *resumable) sendLocked(stream quicstream.Stream, from, to uint64) error {
	for from = max(from, s.out.unacked.Begin()); from < to; from = max(from, s.out.unacked.Begin()) {
		p, pinned := s.out.unacked.From(from)
		if pinned == nil {
			return nil // it is over
		}
		p = p[:min(uint64(len(p)), to-from)]
		s.mu.Unlock()
		n, err := quicstream.Write(stream, p)
		s.mu.Lock()
		s.out.unacked.Unpin(pinned)
		from += uint64(n)
		if err != nil {
			s.mu.Unlock()
			err = s.writeFailed(stream, from, err)
			s.mu.Lock()
			if err == ErrTakenBack {
				return nil // with everything unacked
			}
			return err
		}
	}
	return nil
}

// waitToWriteLocked waits for room for n bytes, and with stream also for a QUIC stream that takes them.
// Memory that does not count yet does meanwhile.
func (s *resumable) waitToWriteLocked(n, uncounted int, stream bool) error {
	waits := false
	defer func() {
		if waits {
			s.out.unacked.Charge(-uncounted)
		}
	}()
	for {
		switch {
		case s.out.state == over:
			return s.out.err
		case s.out.ended:
			return net.ErrClosed
		case stream && s.deadlines != nil && passed(s.deadlines.write):
			return os.ErrDeadlineExceeded
		case s.out.unacked.Size()+n <= s.maxUnackedLocked() && (!stream || s.out.state != resuming):
			return nil
		}
		if !waits {
			waits = true
			s.out.unacked.Charge(uncounted)
		}
		s.changed.Wait()
	}
}

// writeFailed handles the error of a write; from is where nothing was written from. It returns nil for an
// error that only means that the bytes go another way, or later.
func (s *resumable) writeFailed(stream quicstream.Stream, from uint64, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.sendLater(stream, from)
		return nil
	}
	code, remote := quicstream.RemoteCode(err)
	s.mu.Lock()
	if s.stream != stream || s.out.state == over {
		defer s.mu.Unlock()
		return s.out.err // none if it was lost meanwhile
	}
	s.mu.Unlock()
	if remote && code != framing.ErrorRelayMoved {
		return s.endedByPeer(code)
	}
	s.markLost(stream)
	return nil
}
