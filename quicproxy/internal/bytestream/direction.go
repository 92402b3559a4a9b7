package bytestream

import (
	"fmt"
	"io"
	"net"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
)

// state is that of one direction of a stream at one end; doc.go has the drawing.
type state uint8

const (
	onStream state = iota // bytes go over the current QUIC stream
	striped               // they follow over stripes; the stream has ended
	resuming              // there is no stream yet; then the sender sends again what the peer lacks
	over                  // nothing follows
)

// sending is a direction at its sender.
type sending struct {
	state   state
	unacked buffer.Unacked
	ended   bool              // nothing follows what is unacked
	code    framing.ErrorCode // of the reset that follows; NoError: the end does
	err     error             // of writes, once it is over
}

// total counts the bytes to send so far. The end counts as one.
func (s *sending) total() uint64 {
	if s.ended {
		return s.unacked.End() + 1
	}
	return s.unacked.End()
}

// delivered reports whether a peer that received so much has everything. One that was told of a reset need
// not ack the end.
func (s *sending) delivered(received uint64) bool {
	return s.ended && (received > s.unacked.End() || received == s.unacked.End() && s.code != framing.NoError)
}

// lost: the QUIC stream cannot go on.
func (s *sending) lost() {
	if s.state == onStream || s.state == striped {
		s.state = resuming
	}
}

// resumed: on a new QUIC stream the peer said how much it has. It cannot lack what it acked before.
func (s *sending) resumed(received uint64) error {
	if s.state == over {
		return nil
	}
	if received < s.unacked.Begin() {
		return fmt.Errorf("the other side has %d bytes, and said before that it has %d", received, s.unacked.Begin())
	}
	return s.acked(received)
}

// acked: the peer has so much.
func (s *sending) acked(received uint64) error {
	switch {
	case s.state == over || received < s.unacked.Begin():
		return nil // old news
	case received > s.total():
		return fmt.Errorf("the other side has %d bytes of %d", received, s.total())
	}
	s.unacked.Release(min(received, s.unacked.End()))
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
	if s.delivered(s.unacked.Begin()) {
		s.stop(net.ErrClosed)
	}
}

// stop: nothing is left to send.
func (s *sending) stop(err error) {
	if s.state == over {
		return
	}
	s.state, s.err = over, err
	s.unacked.Release(s.unacked.End())
}

// caughtUp: the peer was sent everything unacked.
func (s *sending) caughtUp() {
	if s.state == resuming {
		s.state = onStream
	}
}

// receiving is a direction at its receiver.
type receiving struct {
	state    state
	position uint64 // bytes that were read; the end counts as one
	err      error  // of reads, once it is over

	reset *ResetError // the peer reset the relay: only what comes before is awaited
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

// advance: n bytes were read.
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

// stop: nothing more is read.
func (r *receiving) stop(err error) {
	if r.state != over {
		r.state, r.err = over, err
	}
}
