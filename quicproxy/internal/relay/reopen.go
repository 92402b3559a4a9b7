package relay

import (
	"context"
	"errors"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/wait"
)

const (
	// openTimeout bounds the wait for a stream of a peer that allows no more of them at the moment.
	openTimeout = 10 * time.Second
	// The pauses before attempts that follow ones lost within steady double from minPause to maxPause.
	minPause, maxPause = 50 * time.Millisecond, 500 * time.Millisecond
	steady             = 2 * time.Second
)

// reopen opens streams until one goes on where the last one ended, or none is needed any more.
func (s *resumable) reopen(ctx context.Context) {
	for {
		s.mu.Lock()
		if s.overLocked() {
			s.endOpeningLocked()
			s.mu.Unlock()
			return
		}
		pause, left := s.pauseLocked(), s.left
		s.mu.Unlock()
		wait.Sleep(ctx, pause)
		carrier := s.association.pick(ctx, s, left)
		if carrier == nil {
			continue // none is needed any more
		}
		timeout, cancel := context.WithTimeout(ctx, openTimeout)
		stream, err := carrier.OpenStream(timeout)
		cancel()
		if err != nil {
			carrier.Relays.remove(s)
			continue
		}
		if s.introduce(carrier, stream) {
			s.catchUp(stream)
			return
		}
	}
}

func (s *resumable) endOpeningLocked() {
	s.opening()
	s.opening = nil
}

// pauseLocked is the pause before the next attempt: none, unless the last ones did not last.
func (s *resumable) pauseLocked() time.Duration {
	if time.Since(s.began) > steady {
		s.failures = 0
	}
	pause := time.Duration(0)
	if s.failures > 0 {
		pause = min(minPause<<min(s.failures-1, 8), maxPause)
	}
	s.failures++
	s.began = time.Now()
	return pause
}

// introduce makes a new QUIC stream the current one: it says which relay that is and what this side has, and hears what
// the peer has. It reports false if the stream was lost meanwhile.
func (s *resumable) introduce(carrier *Carrier, stream QUICStream) bool {
	s.mu.Lock()
	if s.overLocked() {
		s.mu.Unlock()
		carrier.Relays.remove(s)
		cancel(stream, framing.ErrorRelayMoved)
		return false
	}
	s.attempt++
	s.stream, s.carrier, s.received = stream, carrier, carrier.Received()
	frame, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{
		Service: s.header.Service, ClientAddress: s.header.ClientAddress, PublicAddress: s.header.PublicAddress,
		Relay: s.number, Attempt: s.attempt, Received: s.in.position,
	})
	s.mu.Unlock()
	if err == nil {
		err = write(stream, frame)
	}
	if _, remote := remoteCode(err); err != nil && !remote { // else the answer says more
		s.lose(stream)
		return false
	}
	answer, err := framing.ReadStreamAnswer(stream)
	if _, bad := errors.AsType[*framing.ProtocolError](err); bad {
		s.Discard(framing.ErrorRelayReset)
		return false
	}
	if err != nil {
		if code, remote := remoteCode(err); remote && code != framing.ErrorRelayMoved && code != framing.NoError {
			s.refused(code)
		}
		s.lose(stream)
		return false
	}
	s.mu.Lock()
	if s.stream != stream {
		s.mu.Unlock()
		return false
	}
	s.heard, s.known, s.left = true, true, nil
	s.endOpeningLocked()
	s.acked = time.Now()
	err = s.out.resumed(answer.Received)
	s.resumeReadingLocked()
	s.mu.Unlock()
	if err != nil {
		s.Discard(framing.ErrorRelayReset)
	}
	return true
}

// refused ends a relay of which the other side does not take an attempt. It may have the relay all the same, and is told.
func (s *resumable) refused(code framing.ErrorCode) {
	s.mu.Lock()
	if s.code == framing.NoError {
		s.code = framing.ErrorRelayReset
	}
	s.mu.Unlock()
	s.resetByPeer(&ResetError{code}, 0)
}
