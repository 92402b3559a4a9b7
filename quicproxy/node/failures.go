package node

import (
	"errors"
	"fmt"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
)

func isNotAuthorized(err error) bool {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	return ok && failure.Code == framing.ErrorNotAuthorized
}

// withoutSecret adds what a node can do that is not authorized and has no join secret; known: it was admitted before.
func withoutSecret(err error, known bool) error {
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

// notForSuccessor says why the node keeps its join secret from a server that has the next key.
func notForSuccessor(server certs.NodeID) error {
	return &quicproxy.FailureError{
		Code:   framing.ErrorNotAuthorized,
		Text:   fmt.Sprintf("this node is not authorized, and its invitation is for the key that the server had before %v", server),
		Advice: "ask the server's owner for a new invitation (apquic-server invite)",

		RetryAfter: conn.PersonRetry,
	}
}
