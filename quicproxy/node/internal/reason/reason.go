package reason

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
)

// IsNotAuthorized reports whether the server refused a request because the node is not authorized.
func IsNotAuthorized(err error) bool {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	return ok && failure.Code == framing.ErrorNotAuthorized
}

// WithoutSecret adds what the owner of an unauthorized node without a join secret can do; known: the node was
// admitted before.
func WithoutSecret(err error, known bool) error {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
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

// NotForSuccessor says why the node does not send its join secret to a server that has the next key.
func NotForSuccessor(server certs.NodeID) error {
	return &quicproxy.FailureError{
		Code:   framing.ErrorNotAuthorized,
		Text:   fmt.Sprintf("this node is not authorized, and its invitation is for the key that the server had before %v", server),
		Advice: "ask the server's owner for a new invitation (apquic-server invite)",

		RetryAfter: conn.PersonRetry,
	}
}

// IsRestart reports whether a connection ended because the other side's process was replaced by another,
// which is already running. A stateless reset cannot be forged, but the server itself can send one to every
// connection.
func IsRestart(err error) bool {
	_, ok := errors.AsType[*quic.StatelessResetError](err)
	return ok
}

// IsSentAway reports whether the server no longer admits this node.
func IsSentAway(err error) bool {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return IsNotAuthorized(err) || ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorNotAuthorized
}

// IsReplaced reports whether a connection ended because another process has the key of this node.
func IsReplaced(err error) bool {
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return failure.Code == framing.ErrorReplaced
	}
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorReplaced
}

// Replaced says that the server has a newer connection, of this process or of another one at an address.
func Replaced(ours bool, address string) error {
	if ours {
		return &quicproxy.FailureError{
			Code: framing.ErrorSuperseded, Text: "the server has a newer connection of this node, whose answer was lost",
		}
	}
	return &quicproxy.FailureError{
		Code:   framing.ErrorReplaced,
		Text:   "another process with the key of this node took over, from " + hint.Printable(address, conn.MaxText),
		Advice: "stop one of the two, or give one a data directory and so a key of its own",
	}
}

// IsUnknownOpcode reports whether the other side does not know a message.
func IsUnknownOpcode(err error) bool {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	return ok && failure.Code == framing.ErrorUnknownOpcode
}

// HadNoPlace reports whether a dialed server accepts no connection of a stranger at the moment.
func HadNoPlace(err error) bool {
	if refused, ok := errors.AsType[*quic.TransportError](err); ok {
		return refused.Remote && refused.ErrorCode == quic.ConnectionRefused
	}
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorBusy
}

// TooOld returns why a service is not asked for: a server that does not know what the request asks for would lease a
// port to everybody. Nil: the server has all of it.
func TooOld(request *framing.ProxyRequest, has framing.Features) error {
	for _, need := range []struct {
		needed  bool
		feature framing.Feature
		code    framing.ErrorCode
		text    string
	}{
		{request.Transport > 1, framing.FeatureFlows, framing.ErrorBadRequest, "has no services over UDP"},
		{request.Domain != "" || request.Tls != 0, framing.FeatureDomains, framing.ErrorNoDomains, "leases no domains"},
		{request.Private, framing.FeaturePrivate, framing.ErrorNoPrivateService, "has no private services"},
		{request.Group != "", framing.FeatureGroups, framing.ErrorNotInGroup, "has no groups"},
		{request.Visitors != nil, framing.FeatureVisitors, framing.ErrorBadRequest, "lets everybody visit"},
	} {
		if need.needed && !has.Has(need.feature) {
			return &quicproxy.FailureError{
				Code: need.code, Text: "this version of the server " + need.text, Advice: "ask its operator for a newer one, or remove this from the service",
			}
		}
	}
	return nil
}
