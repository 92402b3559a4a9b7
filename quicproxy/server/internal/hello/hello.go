// Package hello reads what a node says first, and tells one that is refused why.
//
// It must not decide who is refused.
package hello

import (
	"fmt"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/server/internal/failure"
)

// Read reads the next message, which must be a Hello.
func Read(control *conn.ControlStream, deadline time.Time) (envelope framing.Envelope, hello *framing.Hello, err error) {
	if envelope, err = control.Read(max(time.Until(deadline), time.Nanosecond)); err != nil {
		return envelope, nil, fmt.Errorf("waiting for Hello: %w", err)
	}
	if envelope.Opcode != framing.OpHello || envelope.Reply || envelope.RequestNonce == 0 {
		return envelope, nil, conn.Unexpected(envelope)
	}
	hello = new(framing.Hello)
	return envelope, hello, envelope.Decode(hello)
}

// Refuse tells the node why, and gives it that long to read it: closing a connection drops what it carries.
func Refuse(control *conn.ControlStream, to framing.Envelope, connection *quic.Conn, err error, farewell time.Duration) {
	control.Reply(to, framing.OpFailure, failure.Message(err))
	select {
	case <-connection.Context().Done():
	case <-time.After(farewell):
	}
}
