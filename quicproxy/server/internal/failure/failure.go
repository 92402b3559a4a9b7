// Package failure turns errors into what a node is told: code, text, the one thing to do, and when to ask again
// (Failure of the protocol).
//
// It must not act on a connection. What only the operator may know, such as a path, goes to the log, not here.
package failure

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/conn"
)

// How long nodes must wait before they ask again.
const (
	joinRetry  = time.Minute     // too many nodes are joining
	portRetry  = 5 * time.Second // how often package lease retries a port that another program has
	leaveRetry = time.Second     // how soon a node that leaves may ask again
	busyRetry  = time.Second
)

// Message is err as the node gets it.
func Message(err error) *framing.Failure {
	if e, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return &framing.Failure{
			Code: uint64(e.Code), Text: e.Text, Hint: e.Advice, RetryAfterMilliseconds: uint64(e.RetryAfter / time.Millisecond),
		}
	}
	return &framing.Failure{Code: uint64(framing.ErrorInternal), Text: "the server failed"}
}

// Busy is the failure of a request while too many others wait.
func Busy() error {
	return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: "too many requests wait already", RetryAfter: busyRetry}
}

// TooOften tells a node that sends too many requests when to send the next one.
func TooOften(wait time.Duration) error {
	return &quicproxy.FailureError{
		Code: framing.ErrorBusy, Text: "this node sends requests too often", RetryAfter: wait,
		Advice: "nothing needs to be done, the node tries again; if this continues, check whether something keeps restarting it",
	}
}

// EndsElsewhere tells a node that others of a group have something else done with the TLS of clients.
func EndsElsewhere(group string) error {
	return &quicproxy.FailureError{
		Code: framing.ErrorGroupElsewhere, Text: fmt.Sprintf("other nodes that offer the group %q have TLS ended elsewhere", group),
		Advice: "give the service the same tls as on the other nodes, and an upstream that speaks HTTP only if theirs do",
	}
}

// Stranger tells the operator about a node that was not admitted, with the command that would let it in, and returns
// what the node is told. err is that of the Admitter; gone says that the node left meanwhile.
func Stranger(log *slog.Logger, node certs.NodeID, gone bool, err error) error {
	unauthorized := errors.Is(err, admission.ErrNotAuthorized)
	switch {
	case errors.Is(err, admission.ErrTooManyJoins), !unauthorized && gone: // the check failed because of that
		log.Debug("node refused", "err", err)
	case unauthorized:
		log.Warn("node refused: "+err.Error()+"; to allow it, use the command", "command", "apquic-server allow "+node.String())
	default:
		log.Error("a node could not be checked", "err", err)
	}
	return NotAuthorized(node, err)
}

// NotAuthorized tells a node why it was not admitted: err is that of the Admitter.
func NotAuthorized(node certs.NodeID, err error) error {
	if errors.Is(err, admission.ErrTooManyJoins) {
		return &quicproxy.FailureError{Code: framing.ErrorBusy, Text: err.Error(), Advice: "wait a minute", RetryAfter: joinRetry}
	}
	if !errors.Is(err, admission.ErrNotAuthorized) {
		return &quicproxy.FailureError{Code: framing.ErrorInternal, Text: "the server could not check who may use it"}
	}
	advice := "ask the server's owner for an invitation (apquic-server invite), or for this: apquic-server allow %v"
	if errors.Is(err, admission.ErrDenied) {
		advice = "invitations no longer let it in; ask the server's owner for this: apquic-server allow %v"
	}
	return &quicproxy.FailureError{
		Code:   framing.ErrorNotAuthorized,
		Text:   fmt.Sprintf("%v: %v", err, node),
		Advice: fmt.Sprintf(advice, node),

		RetryAfter: conn.PersonRetry,
	}
}

// AnotherProcess is the failure of a node whose key another process uses, connected from at.
func AnotherProcess(at net.Addr) error {
	return &quicproxy.FailureError{
		Code:   framing.ErrorBusy,
		Text:   fmt.Sprintf("another process with the key of this node is connected from %v", at),
		Advice: "stop one of the two, or give this one a data directory and so a key of its own",

		RetryAfter: conn.PersonRetry,
	}
}

// NoCountries is the failure of a service with rules about countries, which the server does not know.
func NoCountries() error {
	return &quicproxy.FailureError{
		Code: framing.ErrorNoCountries, Text: "this server does not know the countries of addresses",
		Advice: "ask the operator of the server to start it with --countries FILE, or remove allowCountries and denyCountries from the service",
	}
}

// BadRequest is the failure of a request that breaks the protocol.
func BadRequest(err error) error {
	return &quicproxy.FailureError{Code: framing.ErrorBadRequest, Text: err.Error()}
}

// OfLease tells a node why it got no lease. What only the operator may know stays in the log.
func OfLease(err error) error {
	if refused, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return refused
	}
	failure := func(code framing.ErrorCode, advice string) error {
		return &quicproxy.FailureError{Code: code, Text: err.Error(), Advice: advice}
	}
	if _, ok := errors.AsType[*lease.RangeFullError](err); ok {
		return failure(framing.ErrorRangeFull, "ask the operator of the server for a larger range of ports")
	}
	if _, ok := errors.AsType[*lease.PinnedError](err); ok {
		return failure(framing.ErrorNotAllowed, "remove the domain from the service, or ask the operator of the server to unpin it (apquic-server unpin)")
	}
	switch {
	case errors.Is(err, lease.ErrAttached):
		return &quicproxy.FailureError{
			Code: framing.ErrorBadRequest, Text: "a connection still serves a lease of this node", RetryAfter: leaveRetry, Advice: "stop the process that has the services",
		}
	case errors.Is(err, lease.ErrExhausted):
		return failure(framing.ErrorRangeFull, "tell the operator of the server: "+hint.Of(err))
	case errors.Is(err, lease.ErrPortOutOfRange):
		return failure(framing.ErrorPortOutOfRange, "choose a public port of the server's range, or none")
	case errors.Is(err, lease.ErrPortBusy):
		return &quicproxy.FailureError{
			Code: framing.ErrorPortBusy, Text: err.Error(), RetryAfter: portRetry,
			Advice: "another program on the server has the port; the server tries again",
		}
	case errors.Is(err, lease.ErrNoDomains):
		return failure(framing.ErrorNoDomains, "ask the operator of the server to start it with --https :443, or expose the service at a port")
	case errors.Is(err, lease.ErrBadDomain):
		return failure(framing.ErrorBadDomain, "choose a name that you own and that points to the server, such as www.example.org")
	case errors.Is(err, lease.ErrDomainTaken):
		return failure(framing.ErrorDomainTaken, "choose another domain, or ask the operator of the server who has this one (apquic-server status)")
	case errors.Is(err, lease.ErrShared):
		return failure(framing.ErrorGroupElsewhere, "give the service the same domain, transport and publicPort as on the other nodes, or no publicPort")
	case errors.Is(err, lease.ErrTooManyDomains):
		return failure(framing.ErrorRangeFull, "tell the operator of the server, or expose the service at a port")
	case errors.Is(err, lease.ErrTooManyServices):
		return failure(framing.ErrorTooManyServices, "expose fewer services, or raise --max-services on the server")
	}
	return &quicproxy.FailureError{Code: framing.ErrorStoreFailed, Text: "the server could not store the lease", Cause: err}
}
