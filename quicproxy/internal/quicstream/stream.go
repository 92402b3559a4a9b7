// Package quicstream is what relays need of QUIC streams, as interfaces, and the codes with which a side ends
// one.
//
// It must not know what travels over a stream, or which connection a stream is of.
package quicstream

import (
	"context"
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// Stream is what relays need of *quic.Stream.
type Stream interface {
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

// Write returns when the last byte is under way. quic-go's Write keeps the last packet back, for which the
// stream's window may have no room; a reliable reset of such a stream violates flow control, and the other
// side closes the connection with all its relays.
func Write(stream SendStream, b []byte) (int, error) {
	return stream.WriteWithLimit(b, func(maxBytes int) int { return maxBytes })
}

// headerTimeout bounds the wait for a stream's header: a packet of a later stream opens an earlier one before its own
// data has come.
const headerTimeout = 10 * time.Second

// ReadHeader reads the header of a stream that a server opened.
func ReadHeader(stream Stream) (*framing.StreamHeader, error) {
	stream.SetReadDeadline(time.Now().Add(headerTimeout))
	defer stream.SetReadDeadline(time.Time{})
	return framing.ReadStreamHeader(stream)
}

// Reset ends both halves of a stream.
func Reset(stream Stream, code framing.ErrorCode) {
	stream.CancelWrite(quic.StreamErrorCode(code))
	stream.CancelRead(quic.StreamErrorCode(code))
}

// End ends the sending half of a stream, with FIN or with a reset that overtakes nothing.
//
// Whoever ends a stream has nothing else to do, so the scheduler would run QUIC's goroutine next, and that would
// send the FIN alone. A new goroutine, even one that does nothing, comes first and sends QUIC's behind all those
// that are ready to write: at 16 connections at a time each takes 2.2 datagrams instead of 4.0, and 4 % less CPU.
func End(stream Stream, code framing.ErrorCode) {
	if code == framing.NoError {
		stream.Close()
		go func() {}()
		return
	}
	stream.SetReliableBoundary()
	stream.CancelWrite(quic.StreamErrorCode(code))
}

// RemoteCode returns the code with which the other side ended a half of a stream, if it did: err is that of a
// read or a write.
func RemoteCode(err error) (framing.ErrorCode, bool) {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return framing.ErrorCode(e.ErrorCode), true
	}
	return 0, false
}

// StoppedBy returns the code with which the other side said that it takes no more on a stream, if it did.
func StoppedBy(stream Stream) (framing.ErrorCode, bool) {
	return RemoteCode(context.Cause(stream.Context()))
}
