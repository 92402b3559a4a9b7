package reason

import (
	"errors"
	"strings"
	"testing"

	"apquic/framing"
	"apquic/quicproxy"
)

// TestAdviceWithoutSecret: what the server advises is kept, with what the node knows itself.
func TestAdviceWithoutSecret(t *testing.T) {
	t.Parallel()
	const told = "ask the server's owner for this: apquic-server allow 1"
	for known, says := range map[bool]string{false: "put quotes around the invitation", true: "has admitted this node before"} {
		err := WithoutSecret(&quicproxy.FailureError{Code: framing.ErrorNotAuthorized, Text: "no", Advice: told}, known)
		failure, ok := errors.AsType[*quicproxy.FailureError](err)
		if !ok || !strings.Contains(failure.Hint(), told) || !strings.Contains(failure.Hint(), says) || failure.Text != "no" {
			t.Errorf("known %t: %+v", known, err)
		}
	}
}
