package bytestream

import (
	"errors"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/stripes"
)

const (
	// maxStripes bounds the stripes of a relay that are read at once: one for each connection, and some that
	// the sender gave up.
	maxStripes = 64
	// stripeHeaderTimeout bounds the wait for the header of a stripe.
	stripeHeaderTimeout = 10 * time.Second
)

// ServeStripe reads a unidirectional stream that the other side opened over c, for the relay that its header
// names. It returns when the stream is over or not wanted, and never waits for the reader of the relay.
func ServeStripe(a *association.Association, c *association.Carrier, stream quicstream.ReceiveStream) {
	code := serveStripe(a, c, stream)
	stream.CancelRead(quic.StreamErrorCode(code)) // which changes nothing if the stream has ended
}

func serveStripe(a *association.Association, c *association.Carrier, stream quicstream.ReceiveStream) framing.ErrorCode {
	if a == nil {
		return framing.ErrorUnknownRelay
	}
	stream.SetReadDeadline(time.Now().Add(stripeHeaderTimeout))
	header, err := framing.ReadStripeHeader(stream)
	if err != nil {
		return framing.ErrorBadHeader
	}
	stream.SetReadDeadline(time.Time{})
	s, _ := a.Find(header.Relay).(*resumable)
	switch {
	case s == nil:
		a.TellOver(header.Relay)
		return framing.ErrorUnknownRelay
	case !s.addStripe(stream, header.Attempt):
		return framing.ErrorRelayMoved
	}
	defer s.removeStripe(stream)
	for err == nil {
		var record *framing.RecordHeader
		if record, err = framing.ReadRecordHeader(stream); err == nil {
			c.Records.Add(1)
			err = s.readRecord(stream, record)
		}
	}
	if _, bad := errors.AsType[*framing.ProtocolError](err); bad {
		s.Discard(framing.ErrorRelayReset)
		return framing.ErrorBadHeader
	}
	return framing.ErrorRelayMoved
}

// brought is what stripes bring. The mutex of the relay guards it.
type brought struct {
	stripes map[quicstream.ReceiveStream]struct{} // that are read
	stripes.Reassembly
}

// addStripe reports whether a stripe of an attempt is wanted.
func (s *resumable) addStripe(stream quicstream.ReceiveStream, attempt uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil || attempt != s.attempt || s.in.state == over || s.finished {
		return false
	}
	if s.brought == nil {
		s.brought = &brought{stripes: make(map[quicstream.ReceiveStream]struct{})}
		if s.countHeld != nil {
			s.brought.Count(s.countHeld)
		}
	}
	if len(s.brought.stripes) >= maxStripes {
		return false
	}
	s.brought.stripes[stream] = struct{}{}
	return true
}

func (s *resumable) removeStripe(stream quicstream.ReceiveStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.brought.stripes, stream)
}

// dropStripesLocked ends all stripes, and forgets what they brought and nobody read.
func (s *resumable) dropStripesLocked() {
	if s.brought == nil {
		return
	}
	for stream := range s.brought.stripes {
		stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayMoved))
	}
	clear(s.brought.stripes)
	s.brought.Clear()
}

// readRecord reads the bytes of a record. It holds a buffer only while there is something to read.
func (s *resumable) readRecord(stream quicstream.ReceiveStream, record *framing.RecordHeader) error {
	at, end := record.Offset, record.Offset+uint64(record.Length)
	for at < end {
		var one [1]byte
		if _, err := stream.Peek(one[:]); err != nil {
			return err
		}
		n, err := s.readPart(stream, at, end)
		if at += uint64(n); err != nil && (n == 0 || err != io.EOF) {
			return err
		}
	}
	if record.End {
		return s.store(stream, end, nil, true)
	}
	return nil
}

func (s *resumable) readPart(stream quicstream.ReceiveStream, at, end uint64) (int, error) {
	p := buffer.New(buffer.Size)
	defer buffer.Free(p)
	n, err := stream.Read(p[:min(buffer.Size, end-at)])
	if n == 0 {
		return 0, err
	}
	if err := s.store(stream, at, p[:n], false); err != nil {
		return n, err
	}
	return n, err
}

var errUnwanted = errors.New("the stripe is not wanted")

// store takes bytes that came over a stripe, or the end.
func (s *resumable) store(stream quicstream.ReceiveStream, offset uint64, p []byte, end bool) error {
	s.mu.Lock()
	if _, wanted := s.brought.stripes[stream]; !wanted {
		s.mu.Unlock()
		return errUnwanted
	}
	s.seen, s.confirmed = true, true
	s.brought.DropBefore(s.in.position)
	err := s.brought.Put(offset, p)
	if err == nil && end {
		err = s.brought.EndAt(offset)
	}
	if s.in.state == striped {
		s.changed.Broadcast()
	}
	s.mu.Unlock()
	if err != nil {
		return &framing.ProtocolError{Code: framing.ErrorBadHeader, Text: err.Error()}
	}
	s.ack(ackSoon)
	return nil
}

// hasStripedLocked reports whether something can be read that came over stripes.
func (s *resumable) hasStripedLocked() bool {
	return s.arrivedLocked() > s.in.position
}

// takeStripedLocked reads what comes next, or the end.
func (s *resumable) takeStripedLocked(b []byte) (n int) {
	if s.brought.AtEnd() {
		s.in.eof()
		s.changedLocked()
		return 0
	}
	n = s.brought.Take(b)
	if s.in.advance(n); s.in.state == over {
		s.changedLocked()
	}
	return n
}

// arrivedLocked returns how much came without a gap, read or not.
func (s *resumable) arrivedLocked() uint64 {
	if s.in.state == over || s.brought == nil {
		return s.in.position
	}
	s.brought.DropBefore(s.in.position)
	return s.brought.Arrived()
}
