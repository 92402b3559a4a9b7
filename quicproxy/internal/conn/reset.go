package conn

import (
	"errors"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// ResetStream ends both halves of a stream.
func ResetStream(stream *quic.Stream, code framing.ErrorCode) {
	stream.CancelWrite(quic.StreamErrorCode(code))
	stream.CancelRead(quic.StreamErrorCode(code))
}

// ResetCode returns the code with which the other side ended a stream, if it did.
func ResetCode(err error) (framing.ErrorCode, bool) {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return framing.ErrorCode(e.ErrorCode), true
	}
	return 0, false
}
