package bytestream

import (
	"errors"
	"fmt"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

var (
	// ErrStopped is the error of writes when the other side reads no more. What it sends goes on.
	ErrStopped = errors.New("the other side takes no more")
	// ErrTakenBack is the error of writes to a stream that was taken back, to begin anew.
	ErrTakenBack = errors.New("the relay begins anew")
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
	Current() (quicstream.Stream, *association.Carrier)
	// Resumed is how often the stream went on over another QUIC stream.
	Resumed() uint64
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
