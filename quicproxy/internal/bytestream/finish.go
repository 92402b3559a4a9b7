package bytestream

import (
	"net"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

// Finish implements Stream.
func (s *resumable) Finish() {
	s.mu.Lock()
	var timer *time.Timer
	for s.out.state != over {
		limit := s.association.ResumeTime
		if s.resetCode != framing.NoError || s.in.reset != nil {
			limit = ResetLinger
		}
		rest := time.Until(s.lastAck.Add(limit))
		if rest <= 0 {
			break
		}
		if timer == nil {
			timer = time.AfterFunc(rest, s.broadcast)
			defer timer.Stop()
		} else {
			timer.Reset(rest)
		}
		s.changed.Wait()
	}
	s.finished = true
	delivered := s.out.state == over
	if !delivered && s.resetCode == framing.NoError {
		s.resetCode = framing.ErrorRelayReset // the peer may still wait for something
	}
	s.out.stop(net.ErrClosed)
	s.in.stop(net.ErrClosed)
	stream, cut := s.stream, !delivered || s.resetCode != framing.NoError || s.stopped
	carrier := s.carrier
	if carrier != nil {
		carrier.Relays.Remove(s)
	}
	s.stopTimersLocked()
	s.changedLocked()
	s.mu.Unlock()
	if stream != nil {
		if cut {
			quicstream.Reset(stream, framing.ErrorRelayMoved) // which changes nothing of a half that has ended
		}
		carrier.Abandoned(stream)
	}
	if !delivered {
		s.ack(ackNow)
	}
	s.association.Remove(s)
	s.working.Wait()
}
