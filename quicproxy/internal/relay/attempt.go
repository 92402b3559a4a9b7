package relay

import (
	"context"
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

const (
	// openTimeout bounds the wait for a stream of a peer that allows no more of them at the moment.
	openTimeout = 10 * time.Second
	// The pauses before attempts that follow ones lost within steady double from minPause to maxPause.
	minPause, maxPause = 50 * time.Millisecond, 500 * time.Millisecond
	steady             = 2 * time.Second
)

// lose gives a QUIC stream up, if it is still the current one: the connection ended, another one took its place, it
// does not answer, or the peer says so.
func (s *resumable) lose(stream QUICStream) {
	s.mu.Lock()
	if stream == nil || s.stream != stream {
		s.mu.Unlock()
		return
	}
	carrier := s.carrier
	s.left = carrier
	s.detachLocked()
	s.mu.Unlock()
	cancel(stream, framing.ErrorRelayMoved)
	carrier.Abandoned(stream)
	s.seek()
}

// Lost implements Member.
func (s *resumable) Lost(c *Carrier) {
	s.mu.Lock()
	stream := s.stream
	if s.carrier != c {
		stream = nil
	}
	s.mu.Unlock()
	s.lose(stream)
}

func (s *resumable) detachLocked() {
	s.listenLocked()
	if s.carrier != nil {
		s.carrier.Relays.remove(s)
	}
	s.stream, s.carrier = nil, nil
	s.in.lost()
	s.out.lost()
	s.changedLocked()
}

// seek has the next attempt opened, or asks for it.
func (s *resumable) seek() {
	s.mu.Lock()
	wanted := !s.overLocked()
	if wanted && s.header != nil && s.opening == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.opening = cancel
		s.working.Go(func() { s.reopen(ctx) })
	}
	s.mu.Unlock()
	if wanted && s.header == nil {
		s.tell(soon)
	}
}

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
		sleep(ctx, pause)
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
		s.readFailed(stream, 0, err)
		return false
	}
	s.mu.Lock()
	if s.stream != stream {
		s.mu.Unlock()
		return false
	}
	s.heard, s.left = true, nil
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
		if before != carrier && before.alive() {
			before.Left()
		}
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

// catchUp sends what is kept on a new stream, until writes go there directly.
func (s *resumable) catchUp(stream QUICStream) {
	s.mu.Lock()
	next := s.out.kept.begin
	s.mu.Unlock()
	s.catchUpFrom(stream, next)
}

func (s *resumable) catchUpFrom(stream QUICStream, next uint64) {
	s.mu.Lock()
	for s.stream == stream && s.out.state == resuming && next < s.out.kept.end {
		end := s.out.kept.end
		if s.sendLocked(stream, next, end) != nil {
			break
		}
		next = end
	}
	if s.stream != stream {
		s.mu.Unlock()
		return
	}
	// What is over before, the peer has, or wants no more: FIN behind the header or the answer.
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
		end(stream, code)
	}
}

// sendLater has another goroutine send what is kept from an offset on: a write that had begun had to end.
func (s *resumable) sendLater(stream QUICStream, from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != stream || s.out.state != onStream || s.finished {
		return
	}
	s.out.lost()
	stream.SetWriteDeadline(time.Time{})
	s.working.Go(func() { s.catchUpFrom(stream, from) })
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
