package relay

import (
	"fmt"
	"io"
	"net"

	"apquic/framing"
)

// state is that of one direction of a stream at one end; doc.go has the drawing.
type state uint8

const (
	onStream state = iota // bytes go over the current QUIC stream
	striped               // they follow over stripes; the stream has ended
	resuming              // there is no stream, or not yet: the sender sends again what the peer does not have
	over                  // nothing comes any more
)

// sending is a direction at its sender.
type sending struct {
	state state
	kept  kept
	ended bool              // nothing follows what is kept,
	code  framing.ErrorCode // but this reset; NoError: the end
	err   error             // of writes, once it is over
}

// total is the number of bytes that there are to send so far. The end counts as one.
func (s *sending) total() uint64 {
	if s.ended {
		return s.kept.end + 1
	}
	return s.kept.end
}

// delivered reports whether a peer that has so much has all that there is. One that was told of a reset has no end to ack.
func (s *sending) delivered(received uint64) bool {
	return s.ended && (received > s.kept.end || received == s.kept.end && s.code != framing.NoError)
}

// lost: the QUIC stream cannot go on.
func (s *sending) lost() {
	if s.state == onStream || s.state == striped {
		s.state = resuming
	}
}

// resumed: on a new QUIC stream the peer said how much it has. What it has acked before it cannot lack.
func (s *sending) resumed(received uint64) error {
	if s.state == over {
		return nil
	}
	if received < s.kept.begin {
		return fmt.Errorf("the other side has %d bytes, and said before that it has %d", received, s.kept.begin)
	}
	return s.acked(received)
}

// acked: the peer has so much.
func (s *sending) acked(received uint64) error {
	switch {
	case s.state == over || received < s.kept.begin:
		return nil // old news
	case received > s.total():
		return fmt.Errorf("the other side has %d bytes of %d", received, s.total())
	}
	s.kept.release(min(received, s.kept.end))
	if s.delivered(received) {
		s.stop(net.ErrClosed)
	}
	return nil
}

// stripe: what follows goes over stripes.
func (s *sending) stripe() {
	if s.state == onStream {
		s.state = striped
	}
}

// end: this side sends no more.
func (s *sending) end(code framing.ErrorCode) {
	if s.state == over || s.ended && code == framing.NoError {
		return
	}
	s.ended, s.code = true, code
	if s.delivered(s.kept.begin) {
		s.stop(net.ErrClosed)
	}
}

// stop: nothing more is to be sent.
func (s *sending) stop(err error) {
	if s.state == over {
		return
	}
	s.state, s.err = over, err
	s.kept.release(s.kept.end)
}

// caughtUp: the peer has been sent all that is kept.
func (s *sending) caughtUp() {
	if s.state == resuming {
		s.state = onStream
	}
}

// receiving is a direction at its receiver.
type receiving struct {
	state    state
	position uint64 // bytes that were taken; the end counts as one
	err      error  // of reads, once it is over

	reset *ResetError // of the peer: only what comes before it is awaited
	final uint64      // up to here
}

func (r *receiving) lost() {
	if r.state == onStream || r.state == striped {
		r.state = resuming
	}
}

// stripe: the stream ended, and what follows comes over stripes.
func (r *receiving) stripe() {
	if r.state == onStream {
		r.state = striped
	}
}

// resumed: a new QUIC stream brings what follows position.
func (r *receiving) resumed() {
	if r.state == resuming {
		r.state = onStream
	}
}

// advance: n bytes were taken.
func (r *receiving) advance(n int) {
	r.position += uint64(n)
	r.check()
}

// eof: the end came.
func (r *receiving) eof() {
	if r.state != over {
		r.position++
		r.stop(io.EOF)
	}
}

// resetAt: the peer reset the relay after so many bytes.
func (r *receiving) resetAt(final uint64, err *ResetError) {
	if r.state == over {
		return
	}
	r.reset, r.final = err, final
	r.check()
}

func (r *receiving) check() {
	if r.reset != nil && r.position >= r.final {
		r.stop(r.reset)
	}
}

// stop: nothing more is taken.
func (r *receiving) stop(err error) {
	if r.state != over {
		r.state, r.err = over, err
	}
}
