package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy"
)

// MaxText bounds what is shown of a text from the other side, in bytes.
const MaxText = 200

// explainedError says in plain words what a QUIC or network error means here.
type explainedError struct {
	Text, hint string
	Cause      error
}

func (e *explainedError) Error() string { return e.Text }

func (e *explainedError) Hint() string { return e.hint }

func (e *explainedError) Unwrap() error { return e.Cause }

// Explain turns the end of a connection into words; peer names the other side.
func Explain(err error, peer string) error {
	say := func(text, hint string) error { return &explainedError{Text: text, hint: hint, Cause: err} }
	if e, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*certs.WrongServerError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*framing.ProtocolError](err); ok {
		return say(fmt.Sprintf("%s broke the protocol: %s", peer, e.Text), "use the same version of apquic on both sides")
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return explainClose(e, peer, say)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return explainTransport(e, peer, say)
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return say(peer+" was restarted", "")
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return say("no answer from "+peer, "check that it runs, that its UDP port is open in every firewall on the way, and that the invitation is its own: it answers only nodes that have its id")
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return say("nothing more came from "+peer, "")
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return say(fmt.Sprintf("the name %s cannot be resolved", e.Name), "check the name and this machine's network")
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return say("no answer from "+peer+" in time", "")
	case errors.Is(err, net.ErrClosed):
		return say("the connection was closed", "")
	}
	return say(fmt.Sprintf("the network failed: %v", err), "")
}

func explainClose(e *quic.ApplicationError, peer string, say func(text, hint string) error) error {
	code, reason := framing.ErrorCode(e.ErrorCode), hint.Printable(e.ErrorMessage, MaxText)
	switch {
	case !e.Remote:
		return say("the connection was closed: "+code.String(), "")
	case code == framing.ErrorShutdown:
		return say(peer+" was stopped", "")
	case code == framing.NoError:
		return say(peer+" closed the connection", "")
	case reason == "":
		return say(fmt.Sprintf("%s closed the connection: %v", peer, code), "")
	}
	return say(fmt.Sprintf("%s closed the connection: %s", peer, reason), "")
}

func explainTransport(e *quic.TransportError, peer string, say func(text, hint string) error) error {
	const noApplicationProtocol = 0x100 + 120 // RFC 9001 section 4.8
	switch {
	case e.ErrorCode == quic.ConnectionRefused:
		return say(peer+" does not accept new connections now", "")
	case e.ErrorCode == noApplicationProtocol:
		return say(peer+" speaks another version of the protocol", "use the same version of apquic on both sides")
	case e.ErrorCode.IsCryptoError():
		return say(fmt.Sprintf("the handshake with %s failed: %s", peer, hint.Printable(e.Error(), MaxText)), "check that the address belongs to an apquic server")
	}
	return say(fmt.Sprintf("the connection to %s failed: %s", peer, hint.Printable(e.Error(), MaxText)), "")
}

// IsShutdown reports whether a connection ended because the other side's process is stopping.
func IsShutdown(err error) bool {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorShutdown
}
