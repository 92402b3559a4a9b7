package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

var (
	// ErrStopped is the error of writes when the other side reads no more. What it sends goes on.
	ErrStopped = errors.New("the other side takes no more")
	// errTakenBack is the error of writes to a stream that was taken back, to begin anew.
	errTakenBack = errors.New("the relay begins anew")
	// ErrLost is the error of a plain stream whose connection ended.
	ErrLost = errors.New("the connection of the relay ended")
)

// ResetError is the error of reads and writes after the other side reset the relay.
type ResetError struct{ Code framing.ErrorCode }

func (e *ResetError) Error() string { return fmt.Sprintf("the other side reset the relay: %v", e.Code) }

// Stream is one relay between a server and a node. Read and Wait are for one goroutine, the writing methods
// (Write, WriteBuffer, CloseWrite, Reset) for one at a time; all others may be called at any time.
type Stream interface {
	// Wait returns when Read has something: bytes, the end, an error. It holds nothing meanwhile.
	Wait()
	// Read returns io.EOF at the end, *ResetError after a reset, net.ErrClosed after CancelRead or Reset of
	// this side, and os.ErrDeadlineExceeded. Data and an error never come together.
	Read(b []byte) (int, error)
	// Write returns when b is under way, or kept for the next stream. It takes nothing, and returns
	// ErrStopped, *ResetError, net.ErrClosed after the end, or os.ErrDeadlineExceeded.
	Write(b []byte) (int, error)
	// WriteBuffer is Write for bytes that it takes over, with the memory that they are in. All of that, its
	// capacity, counts already as if it were kept; where that is buffer.Size, it is pooled. It knows no deadline.
	WriteBuffer(p []byte) error
	// CloseWrite ends this side's direction.
	CloseWrite() error
	// CancelRead says that this side reads no more; what it sends goes on.
	CancelRead()
	// Reset ends both directions. What was written before still arrives, if it can within ResetLinger.
	Reset(code framing.ErrorCode)
	// Discard ends both directions at once.
	Discard(code framing.ErrorCode)
	// Watch has ended called once, when the other side reads no more, or reset the relay.
	Watch(ended func(reset bool))
	// Finish waits, for a limited time, until the other side has everything, and ends the stream. It may be
	// called again.
	Finish()

	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// Current returns the QUIC stream in use and its connection; nil: there is none at the moment.
	Current() (QUICStream, *Carrier)
	// Seen reports whether the other side may have seen this relay: it said something of it, or anything came
	// over the connection since it began.
	Seen() bool
	// Count has kept told of the memory that is kept until the other side has it, and held of what came over
	// stripes and waits for the reader: of what there is now, and then how many bytes more, or fewer; and
	// kept also how many bytes counted before and no longer do, as WriteBuffer has it. It is to be called
	// before anything is written.
	Count(kept func(bytes, counted int), held func(bytes int))
	// TakeBack ends a stream that the other side cannot have seen. Writes then fail, but TakenBack has their
	// bytes. It reports false if the other side may have seen the stream.
	TakeBack() bool
	// TakenBack returns everything written to a stream that was taken back, once nobody writes to it.
	TakenBack() (written []byte, ok bool)
}

// QUICStream is what relays need of *quic.Stream.
type QUICStream interface {
	Read(b []byte) (int, error)
	Peek(b []byte) (int, error)
	WriteWithLimit(b []byte, limit func(maxBytes int) int) (int, error)
	Close() error
	CancelRead(quic.StreamErrorCode)
	CancelWrite(quic.StreamErrorCode)
	SetReliableBoundary()
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Context() context.Context // ends when the sending half does
}

// SendStream is what relays need of *quic.SendStream.
type SendStream interface {
	WriteWithLimit(b []byte, limit func(maxBytes int) int) (int, error)
	Close() error
	CancelWrite(quic.StreamErrorCode)
}

// ReceiveStream is what relays need of *quic.ReceiveStream.
type ReceiveStream interface {
	Read(b []byte) (int, error)
	Peek(b []byte) (int, error)
	CancelRead(quic.StreamErrorCode)
	SetReadDeadline(time.Time) error
}

// write returns when the last byte is under way. quic-go's Write keeps the last packet back, for which the
// stream's window may have no room; a reliable reset of such a stream violates flow control, and the other
// side closes the connection with all its relays.
func write(stream QUICStream, b []byte) error {
	_, err := stream.WriteWithLimit(b, noLimit)
	return err
}

func noLimit(maxBytes int) int { return maxBytes }

// cancel ends both halves of a QUIC stream.
func cancel(stream QUICStream, code framing.ErrorCode) {
	stream.CancelWrite(quic.StreamErrorCode(code))
	stream.CancelRead(quic.StreamErrorCode(code))
}

// end ends the sending half of a QUIC stream, with FIN or with a reset that overtakes nothing.
func end(stream QUICStream, code framing.ErrorCode) {
	if code == framing.NoError {
		stream.Close()
		return
	}
	stream.SetReliableBoundary()
	stream.CancelWrite(quic.StreamErrorCode(code))
}

// remoteCode returns the code with which the other side ended a half of a QUIC stream, if it did.
func remoteCode(err error) (framing.ErrorCode, bool) {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return framing.ErrorCode(e.ErrorCode), true
	}
	return 0, false
}
