package conn

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/quicstream"
)

// ErrTooMuch ends a connection on which more came than a peer that is not known yet may send.
var ErrTooMuch = &framing.ProtocolError{Code: framing.ErrorTooLarge, Text: "too much came before Hello was answered"}

// closeCode is the error code of a connection whose control stream ended with err.
func closeCode(err error) framing.ErrorCode {
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return failure.Code
	}
	if protocol, ok := errors.AsType[*framing.ProtocolError](err); ok {
		return protocol.Code
	}
	if _, ok := quicstream.RemoteCode(err); ok { // the other side cut its control stream, or stopped ours
		return framing.ErrorMalformed
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return framing.ErrorKeepaliveTimeout
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return framing.ErrorMalformed
	case errors.Is(err, io.EOF):
		return framing.NoError
	}
	return framing.ErrorInternal
}

// errorText is what a closing connection tells the other side.
func errorText(err error) string {
	if e, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return e.Text
	}
	if e, ok := errors.AsType[*framing.ProtocolError](err); ok {
		return e.Text
	}
	return closeCode(err).String()
}

// Close ends a connection with the code and text of err.
func Close(conn *quic.Conn, err error) {
	conn.CloseWithError(quic.ApplicationErrorCode(closeCode(err)), errorText(err))
}

// Unexpected is the error of a message at the wrong time.
func Unexpected(envelope framing.Envelope) error {
	return &framing.ProtocolError{Code: framing.ErrorUnexpectedMessage, Text: fmt.Sprintf("%v is not allowed here", envelope.Opcode)}
}
