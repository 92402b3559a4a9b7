package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
)

// TestExplain: no raw text of a library reaches a person alone.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{&quic.IdleTimeoutError{}, "nothing came from X any more"},
		{&quic.HandshakeTimeoutError{}, "no answer from X"},
		{&quic.StatelessResetError{}, "X was restarted"},
		{&quic.ApplicationError{Remote: true, ErrorCode: quic.ApplicationErrorCode(framing.ErrorShutdown)}, "X was stopped"},
		{&quic.ApplicationError{Remote: true}, "X closed the connection"},
		{&quic.ApplicationError{Remote: true, ErrorCode: 4}, "X closed the connection: bad signature"},
		{&quic.ApplicationError{Remote: true, ErrorCode: 1, ErrorMessage: "a\nb\x1b[31m"}, "X closed the connection: a b [31m"},
		{&quic.ApplicationError{ErrorCode: quic.ApplicationErrorCode(framing.ErrorReplaced)}, "the connection was closed: replaced"},
		{&quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused}, "X takes no new connection now"},
		{&quic.TransportError{Remote: true, ErrorCode: 0x100 + 120}, "X speaks another version of the protocol"},
		{&quic.TransportError{ErrorCode: 0x100 + 42}, "the handshake with X failed: "},
		{&quic.TransportError{ErrorCode: quic.InternalError}, "the connection to X failed: "},
		{&framing.ProtocolError{Code: framing.ErrorBadNonce, Text: "nonce"}, "X broke the protocol: nonce"},
		{&net.DNSError{Name: "tunnel.example"}, "the name tunnel.example cannot be resolved"},
		{context.DeadlineExceeded, "no answer from X in time"},
		{os.ErrDeadlineExceeded, "no answer from X in time"},
		{net.ErrClosed, "the connection was closed"},
		{syscall.ENETUNREACH, "the network failed: wrapped: network is unreachable"},
		{&certs.WrongServerError{}, "wrong server: "},
		{&FailureError{Text: "full"}, "full"},
	} {
		got := explain(fmt.Errorf("wrapped: %w", test.err), "X")
		if !strings.HasPrefix(got.Error(), test.want) {
			t.Errorf("%T: %q, want %q", test.err, got, test.want)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%T: the cause is lost", test.err)
		}
	}
}

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
		message := failureMessage(leaseFailure(fmt.Errorf("granting: %w", test.err)))
		if got := framing.ErrorCode(message.Code); got != test.code {
			t.Errorf("%v: code %v, want %v", test.err, got, test.code)
		}
		if strings.Contains(message.Text, "/secret") {
			t.Errorf("a node is told %q", message.Text)
		}
	}
	if got := failureMessage(errors.New("/secret")); framing.ErrorCode(got.Code) != framing.ErrorInternal || strings.Contains(got.Text, "secret") {
		t.Errorf("an unknown error is told as %v", got)
	}
	if got := failureMessage(notAuthorized(certs.NodeID{1}, errors.New("/secret"))); strings.Contains(got.Text, "secret") {
		t.Errorf("a stranger is told %v", got)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code framing.ErrorCode
	}{
		{&net.OpError{Err: syscall.ECONNREFUSED}, framing.ErrorUpstreamRefused},
		{os.ErrNotExist, framing.ErrorUpstreamRefused},
		{context.DeadlineExceeded, framing.ErrorUpstreamTimeout},
		{syscall.EHOSTUNREACH, framing.ErrorUpstreamUnreachable},
	} {
		if got := upstreamCode(test.err); got != test.code {
			t.Errorf("upstream %v: %v, want %v", test.err, got, test.code)
		}
	}
	for _, test := range []struct {
		err  error
		code framing.ErrorCode
	}{
		{io.EOF, framing.NoError},
		{io.ErrUnexpectedEOF, framing.ErrorMalformed},
		{os.ErrDeadlineExceeded, framing.ErrorKeepaliveTimeout},
		{errors.New("other"), framing.ErrorInternal},
	} {
		if got := closeCode(test.err); got != test.code {
			t.Errorf("close %v: %v, want %v", test.err, got, test.code)
		}
	}
}

// TestAdviceForDenied: no invitation lets a node in that was sent away, so that nobody is told to ask for one.
func TestAdviceForDenied(t *testing.T) {
	id := certs.NodeID{1}
	told := notAuthorized(id, errDenied)
	for _, err := range []error{told, withoutSecret(told, true)} {
		failure, _ := errors.AsType[*FailureError](err)
		if advice := failure.Hint(); strings.Contains(advice, "ask the server's owner for an invitation") || strings.Contains(advice, "with a new invitation") ||
			!strings.Contains(advice, "apquic-server allow "+id.String()) {
			t.Errorf("advice %q", advice)
		}
	}
}
