package relay

import (
	"errors"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
)

var (
	// ErrClosed is the error of beginning a relay on a connection that no longer takes any.
	ErrClosed = errors.New("the connection takes no more relays")
)

// RefusedError says with which code to reset a stream that is not served.
type RefusedError struct{ Code framing.ErrorCode }

func (e *RefusedError) Error() string { return e.Code.String() }

// Begin makes a relay of a new stream of c. It sends the header, and in the same write what the client has
// sent already. ErrClosed: c takes no more relays.
func (a *Association) Begin(c *Carrier, stream quicstream.Stream, header *framing.StreamHeader, first []byte) (Stream, error) {
	if a == nil {
		return beginPlain(c, stream, header, first)
	}
	s := newResumable(a, 0)
	s.header, s.service = header, header.Service
	s.stream, s.carrier, s.attempt, s.attemptBegan, s.packetsBefore = stream, c, 1, time.Now(), c.Received()
	s.out.unacked.Copy(first)
	if err := a.register(s); err != nil {
		s.out.stop(err)
		return nil, err
	}
	frame, err := framing.AppendStreamHeader(nil, header)
	if err != nil {
		s.Discard(framing.ErrorInternal)
		s.Finish()
		return nil, err
	}
	if _, err := quicstream.Write(stream, append(frame, first...)); err != nil {
		s.writeFailed(stream, uint64(len(first)), err)
	}
	return s, nil
}

// register numbers a relay of the side that opens streams.
func (a *Association) register(s *resumable) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return ErrClosed
	}
	if !s.carrier.Relays.add(s) {
		return ErrClosed
	}
	a.last++
	s.number = a.last
	s.header.Relay, s.header.Attempt = s.number, 1
	a.relays[s.number] = s
	return nil
}

// Accept takes a stream that the other side opened, after its header. It returns the relay that begins, or
// nil if the stream went to a relay that was here. *RefusedError: reset the stream.
func (a *Association) Accept(c *Carrier, stream quicstream.Stream, header *framing.StreamHeader) (Stream, error) {
	if a == nil || header.Relay == 0 {
		return acceptPlain(c, stream)
	}
	s, begins, err := a.find(c, stream, header)
	switch {
	case err != nil:
		return nil, err
	case begins && header.Attempt > 1:
		a.AskOthers(c)
		frame, err := framing.AppendStreamAnswer(nil, new(framing.StreamAnswer))
		if err == nil {
			s.resume(stream, frame)
		}
		return s, nil
	case begins:
		return s, nil
	case s.service != header.Service:
		s.Discard(framing.ErrorRelayReset)
		return nil, &RefusedError{framing.ErrorBadHeader}
	}
	if code := s.accept(c, stream, header); code != framing.NoError {
		return nil, &RefusedError{code}
	}
	return nil, nil
}

// find returns the relay that a header names, and creates it if the number is new.
func (a *Association) find(c *Carrier, stream quicstream.Stream, header *framing.StreamHeader) (s *resumable, begins bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.relays[header.Relay]; s != nil {
		return s, false, nil
	}
	switch {
	case a.opens || header.Attempt == 0:
		return nil, false, &RefusedError{framing.ErrorBadHeader}
	case a.seen.has(header.Relay):
		return nil, false, &RefusedError{framing.ErrorUnknownRelay}
	case header.Received > 0:
		return nil, false, &RefusedError{framing.ErrorBadHeader} // of what was never sent
	case a.over:
		return nil, false, &RefusedError{framing.ErrorRelayShutdown}
	}
	s = newResumable(a, header.Relay)
	s.service, s.stream, s.carrier, s.attempt, s.seen = header.Service, stream, c, header.Attempt, true
	if !c.Relays.add(s) {
		return nil, false, &RefusedError{framing.ErrorRelayShutdown}
	}
	if header.Attempt > 1 {
		s.in.state, s.out.state = resuming, resuming // until the answer is out
	}
	a.seen.add(header.Relay)
	a.relays[header.Relay] = s
	return s, true, nil
}
