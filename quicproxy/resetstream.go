package quicproxy

import (
	"errors"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// resetStream ends both halves of a stream.
func resetStream(stream *quic.Stream, code framing.ErrorCode) {
	stream.CancelWrite(quic.StreamErrorCode(code))
	stream.CancelRead(quic.StreamErrorCode(code))
}

// resetCode is the code with which the other side ended a stream, if it did.
func resetCode(err error) (framing.ErrorCode, bool) {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		return framing.ErrorCode(e.ErrorCode), true
	}
	return 0, false
}
