package failure

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/admission"
)

func TestLeaseFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code framing.ErrorCode
	}{
		{&lease.RangeFullError{}, framing.ErrorRangeFull},
		{lease.ErrPortOutOfRange, framing.ErrorPortOutOfRange},
		{lease.ErrPortBusy, framing.ErrorPortBusy},
		{lease.ErrTooManyServices, framing.ErrorTooManyServices},
		{errors.New("write /secret/path: no space left on device"), framing.ErrorStoreFailed},
	} {
		message := Message(OfLease(fmt.Errorf("granting: %w", test.err)))
		if got := framing.ErrorCode(message.Code); got != test.code {
			t.Errorf("%v: code %v, want %v", test.err, got, test.code)
		}
		if strings.Contains(message.Text, "/secret") {
			t.Errorf("a node is told %q", message.Text)
		}
	}
	exhausted := hint.Add(fmt.Errorf("opening a port: %w", lease.ErrExhausted), "close some")
	if got := Message(OfLease(exhausted)); framing.ErrorCode(got.Code) != framing.ErrorRangeFull || got.Hint != "tell the operator of the server: close some" {
		t.Errorf("a server without descriptors is told as %v", got)
	}
	if got := Message(errors.New("/secret")); framing.ErrorCode(got.Code) != framing.ErrorInternal || strings.Contains(got.Text, "secret") {
		t.Errorf("an unknown error is told as %v", got)
	}
	if got := Message(NotAuthorized(certs.NodeID{1}, errors.New("/secret"))); strings.Contains(got.Text, "secret") {
		t.Errorf("a stranger is told %v", got)
	}
}

// TestAdviceForDenied: no invitation admits a denied node, so nobody is told to ask for one.
func TestAdviceForDenied(t *testing.T) {
	t.Parallel()
	id := certs.NodeID{1}
	failure, _ := errors.AsType[*quicproxy.FailureError](NotAuthorized(id, admission.ErrDenied))
	if advice := failure.Hint(); strings.Contains(advice, "ask the server's owner for an invitation") || !strings.Contains(advice, "apquic-server allow "+id.String()) {
		t.Errorf("advice %q", advice)
	}
}
