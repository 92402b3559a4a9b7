package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/lease"
)

// maxText bounds what is shown of a text of the other side, in bytes.
const maxText = 200

// FailureError is the answer of the other side to a request that it could not fulfil.
type FailureError struct {
	Code       framing.ErrorCode
	Text       string        // what happened and why
	Advice     string        // what to do about it
	RetryAfter time.Duration // how long to wait before the request is made again; 0: not told

	cause error // what the other side needs not know; nil: nothing
}

func (e *FailureError) Error() string { return e.Text }

// Unwrap returns the cause, which only this side knows.
func (e *FailureError) Unwrap() error { return e.cause }

// Hint says what to do about it.
func (e *FailureError) Hint() string { return e.Advice }

func failureMessage(err error) *framing.Failure {
	if e, ok := errors.AsType[*FailureError](err); ok {
		return &framing.Failure{
			Code: uint64(e.Code), Text: e.Text, Hint: e.Advice, RetryAfterMilliseconds: uint64(e.RetryAfter / time.Millisecond),
		}
	}
	return &framing.Failure{Code: uint64(framing.ErrorInternal), Text: "the server failed"}
}

func notAuthorized(node certs.NodeID, err error) error {
	if errors.Is(err, ErrTooManyJoins) {
		return &FailureError{Code: framing.ErrorBusy, Text: err.Error(), Advice: "wait a minute", RetryAfter: joinRetry}
	}
	if !errors.Is(err, ErrNotAuthorized) {
		return &FailureError{Code: framing.ErrorInternal, Text: "the server could not check who may use it"}
	}
	advice := "ask the server's owner for an invitation (apquic-server invite), or for this: apquic-server allow %v"
	if errors.Is(err, errDenied) {
		advice = "no invitation lets it in any more; ask the server's owner for this: apquic-server allow %v"
	}
	return &FailureError{
		Code:   framing.ErrorNotAuthorized,
		Text:   fmt.Sprintf("%v: %v", err, node),
		Advice: fmt.Sprintf(advice, node),

		RetryAfter: personRetry,
	}
}

func isNotAuthorized(err error) bool {
	failure, ok := errors.AsType[*FailureError](err)
	return ok && failure.Code == framing.ErrorNotAuthorized
}

// withoutSecret adds what a node can do that is not authorized and has no join secret; known: it was admitted before.
func withoutSecret(err error, known bool) error {
	failure, ok := errors.AsType[*FailureError](err)
	if !ok {
		return err
	}
	told := *failure
	told.Advice = "the invitation had no secret: if there was a part after #, put quotes around the invitation; otherwise " + failure.Advice
	if known {
		told.Advice = "the server has admitted this node before, so only its owner can let it in again: " + failure.Advice
	}
	return &told
}

// notForSuccessor says why the node keeps its join secret from a server that has the next key.
func notForSuccessor(server certs.NodeID) error {
	return &FailureError{
		Code:   framing.ErrorNotAuthorized,
		Text:   fmt.Sprintf("this node is not authorized, and its invitation is for the key that the server had before %v", server),
		Advice: "ask the server's owner for a new invitation (apquic-server invite)",

		RetryAfter: personRetry,
	}
}

func anotherProcess(at net.Addr) error {
	return &FailureError{
		Code:   framing.ErrorBusy,
		Text:   fmt.Sprintf("another process with the key of this node is connected from %v", at),
		Advice: "stop one of the two, or give this one a data directory and so a key of its own",

		RetryAfter: personRetry,
	}
}

func badRequest(err error) error {
	return &FailureError{Code: framing.ErrorBadRequest, Text: err.Error()}
}

func unexpected(envelope framing.Envelope) error {
	return &framing.ProtocolError{Code: framing.ErrorUnexpectedMessage, Text: fmt.Sprintf("%v may not come here", envelope.Opcode)}
}

// leaseFailure tells a node why it got no lease. What only the operator may know stays in the log.
func leaseFailure(err error) error {
	if refused, ok := errors.AsType[*FailureError](err); ok {
		return refused
	}
	failure := func(code framing.ErrorCode, advice string) error {
		return &FailureError{Code: code, Text: err.Error(), Advice: advice}
	}
	if _, ok := errors.AsType[*lease.RangeFullError](err); ok {
		return failure(framing.ErrorRangeFull, "ask the operator of the server for a larger range of ports")
	}
	switch {
	case errors.Is(err, lease.ErrExhausted):
		return failure(framing.ErrorRangeFull, "tell the operator of the server: "+descriptorHint)
	case errors.Is(err, lease.ErrPortOutOfRange):
		return failure(framing.ErrorPortOutOfRange, "choose a public port of the server's range, or none")
	case errors.Is(err, lease.ErrPortBusy):
		return &FailureError{
			Code: framing.ErrorPortBusy, Text: err.Error(), RetryAfter: portRetry,
			Advice: "another program on the server has the port; it is tried again",
		}
	case errors.Is(err, lease.ErrTooManyServices):
		return failure(framing.ErrorTooManyServices, "expose fewer services, or raise --max-services on the server")
	}
	return &FailureError{Code: framing.ErrorStoreFailed, Text: "the server could not store the lease", cause: err}
}

// errorText is what a closing connection tells the other side.
func errorText(err error) string {
	if e, ok := errors.AsType[*FailureError](err); ok {
		return e.Text
	}
	if e, ok := errors.AsType[*framing.ProtocolError](err); ok {
		return e.Text
	}
	return closeCode(err).String()
}

// explainedError says in plain words what a QUIC or network error means here.
type explainedError struct {
	text, hint string
	cause      error
}

func (e *explainedError) Error() string { return e.text }
func (e *explainedError) Hint() string  { return e.hint }
func (e *explainedError) Unwrap() error { return e.cause }

// explain turns the end of a connection into words; peer names the other side.
func explain(err error, peer string) error {
	say := func(text, hint string) error { return &explainedError{text: text, hint: hint, cause: err} }
	if e, ok := errors.AsType[*FailureError](err); ok {
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
		return say("nothing came from "+peer+" any more", "")
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
	code, reason := framing.ErrorCode(e.ErrorCode), hint.Printable(e.ErrorMessage, maxText)
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
		return say(peer+" takes no new connection now", "")
	case e.ErrorCode == noApplicationProtocol:
		return say(peer+" speaks another version of the protocol", "use the same version of apquic on both sides")
	case e.ErrorCode.IsCryptoError():
		return say(fmt.Sprintf("the handshake with %s failed: %s", peer, hint.Printable(e.Error(), maxText)), "check that the address belongs to an apquic server")
	}
	return say(fmt.Sprintf("the connection to %s failed: %s", peer, hint.Printable(e.Error(), maxText)), "")
}
