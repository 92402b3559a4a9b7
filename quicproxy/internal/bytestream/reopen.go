package bytestream

import (
	"context"
	"errors"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/wait"
)

const (
	// openTimeout bounds the wait for a peer that allows no more streams.
	openTimeout = 10 * time.Second
	// The pause before an attempt doubles from minPause to maxPause while attempts are lost within
	// stableAfter.
	minPause, maxPause = 50 * time.Millisecond, 500 * time.Millisecond
	stableAfter        = 2 * time.Second
)

// reopening is what a stream knows of its attempts, from the first one that was lost. The stream's mutex guards
// it.
type reopening struct {
	cancel context.CancelFunc   // ends the goroutine that opens the next attempt; nil: there is none
	lostOn *association.Carrier // where the last attempt was lost, until there is another
	began  time.Time            // when the last attempt began
	lost   int                  // attempts in a row that were lost soon
}

// attemptsLocked returns what is known of the attempts.
func (s *resumable) attemptsLocked() *reopening {
	if s.reopening == nil {
		s.reopening = new(reopening)
	}
	return s.reopening
}

func (s *resumable) isReopeningLocked() bool { return s.reopening != nil && s.reopening.cancel != nil }

// soon begins another attempt, and returns how many before it were lost soon, one after the other.
func (r *reopening) soon() (before int) {
	if time.Since(r.began) > stableAfter {
		r.lost = 0
	}
	before = r.lost
	r.lost++
	r.began = time.Now()
	return before
}

// reopen opens attempts until one succeeds or none is needed.
func (s *resumable) reopen(ctx context.Context) {
	for {
		s.mu.Lock()
		if s.overLocked() {
			s.stopReopeningLocked()
			s.mu.Unlock()
			return
		}
		pause, left := s.reopening.pause(), s.reopening.lostOn
		s.mu.Unlock()
		wait.Sleep(ctx, pause)
		carrier := s.association.Pick(ctx, s, left)
		if carrier == nil {
			continue // no attempt is needed
		}
		timeout, cancel := context.WithTimeout(ctx, openTimeout)
		stream, err := carrier.OpenStream(timeout)
		cancel()
		if err != nil {
			carrier.Relays.Remove(s)
			continue
		}
		if s.handshake(carrier, stream) {
			s.catchUp(stream)
			return
		}
	}
}

func (s *resumable) stopReopeningLocked() {
	s.reopening.cancel()
	s.reopening.cancel = nil
}

// pause returns the pause before the next attempt: none, unless the last ones were lost soon.
func (r *reopening) pause() time.Duration {
	soon := r.soon()
	if soon == 0 {
		return 0
	}
	return min(minPause<<min(soon-1, 8), maxPause)
}

// handshake makes a new QUIC stream the current one: it sends the header, which says how much this side has,
// and reads from the answer how much the peer has. It reports false if the stream was lost meanwhile.
func (s *resumable) handshake(carrier *association.Carrier, stream quicstream.Stream) bool {
	s.mu.Lock()
	if s.overLocked() {
		s.mu.Unlock()
		carrier.Relays.Remove(s)
		quicstream.Reset(stream, framing.ErrorRelayMoved)
		return false
	}
	s.attempt++
	s.stream, s.carrier, s.packetsBefore = stream, carrier, carrier.Received()
	frame, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{
		Service: s.header.Service, ClientAddress: s.header.ClientAddress, PublicAddress: s.header.PublicAddress,
		Relay: s.number, Attempt: s.attempt, Received: s.in.position,
	})
	s.mu.Unlock()
	if err == nil {
		_, err = quicstream.Write(stream, frame)
	}
	if _, remote := quicstream.RemoteCode(err); err != nil && !remote { // else the answer says more
		s.markLost(stream)
		return false
	}
	answer, err := framing.ReadStreamAnswer(stream)
	if _, bad := errors.AsType[*framing.ProtocolError](err); bad {
		s.Discard(framing.ErrorRelayReset)
		return false
	}
	if err != nil {
		if code, remote := quicstream.RemoteCode(err); remote && code != framing.ErrorRelayMoved && code != framing.NoError {
			s.refused(code)
		}
		s.markLost(stream)
		return false
	}
	s.mu.Lock()
	if s.stream != stream {
		s.mu.Unlock()
		return false
	}
	s.seen, s.confirmed, s.reopening.lostOn = true, true, nil
	s.stopReopeningLocked()
	s.lastAck = time.Now()
	err = s.out.resumed(answer.Received)
	s.startReadingLocked()
	s.mu.Unlock()
	if err != nil {
		s.Discard(framing.ErrorRelayReset)
	}
	return true
}

// refused ends a relay of which the other side does not take an attempt. It may have the relay all the same,
// and is told.
func (s *resumable) refused(code framing.ErrorCode) {
	s.mu.Lock()
	if s.resetCode == framing.NoError {
		s.resetCode = framing.ErrorRelayReset
	}
	s.mu.Unlock()
	s.resetByPeer(&ResetError{code}, 0)
}
