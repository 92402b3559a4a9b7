package bytestream

import (
	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

// RefusedError says with which code to reset a stream that is not served.
type RefusedError struct{ Code framing.ErrorCode }

func (e *RefusedError) Error() string { return e.Code.String() }

// Begin makes a relay of a new stream of c. It sends the header, and in the same write what the client has
// sent already. association.ErrClosed: c takes no more relays. With no association, the relay ends with c.
func Begin(a *association.Association, c *association.Carrier, stream quicstream.Stream, header *framing.StreamHeader, first []byte) (Stream, error) {
	if a == nil {
		return beginPlain(c, stream, header, first)
	}
	s := newResumable(a, a.Next())
	header.Relay, header.Attempt = s.number, 1
	s.header, s.service = header, header.Service
	s.stream, s.carrier, s.attempt, s.packetsBefore = stream, c, 1, c.Received()
	s.out.unacked.Copy(first)
	if err := a.Add(c, s); err != nil {
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

// Accept takes a stream that the other side opened over c, after its header. It returns the relay that begins,
// or nil if the stream went to a relay that was here. *RefusedError: reset the stream.
func Accept(a *association.Association, c *association.Carrier, stream quicstream.Stream, header *framing.StreamHeader) (Stream, error) {
	if a == nil || header.Relay == 0 {
		return acceptPlain(c, stream)
	}
	r, begins, refused := a.FindOrAdd(c, header.Relay, func() association.Resumable {
		if header.Received > 0 { // of what was never sent
			return nil
		}
		return newAccepted(a, c, stream, header)
	})
	if refused != framing.NoError {
		return nil, &RefusedError{refused}
	}
	s := r.(*resumable)
	switch {
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

// newAccepted makes a relay that the peer begins.
func newAccepted(a *association.Association, c *association.Carrier, stream quicstream.Stream, header *framing.StreamHeader) *resumable {
	s := newResumable(a, header.Relay)
	s.service, s.stream, s.carrier, s.attempt, s.seen = header.Service, stream, c, header.Attempt, true
	if header.Attempt > 1 {
		s.in.state, s.out.state = resuming, resuming // until the answer is out
	}
	return s
}
