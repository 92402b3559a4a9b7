package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy"
)

// TestExplain: no raw text of a library reaches a person alone.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{&quic.IdleTimeoutError{}, "nothing more came from X"},
		{&quic.HandshakeTimeoutError{}, "no answer from X"},
		{&quic.StatelessResetError{}, "X was restarted"},
		{&quic.ApplicationError{Remote: true, ErrorCode: quic.ApplicationErrorCode(framing.ErrorShutdown)}, "X was stopped"},
		{&quic.ApplicationError{Remote: true}, "X closed the connection"},
		{&quic.ApplicationError{Remote: true, ErrorCode: 4}, "X closed the connection: bad signature"},
		{&quic.ApplicationError{Remote: true, ErrorCode: 1, ErrorMessage: "a\nb\x1b[31m"}, "X closed the connection: a b [31m"},
		{&quic.ApplicationError{ErrorCode: quic.ApplicationErrorCode(framing.ErrorReplaced)}, "the connection was closed: replaced"},
		{&quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused}, "X does not accept new connections now"},
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
		{&quicproxy.FailureError{Text: "full"}, "full"},
	} {
		got := Explain(fmt.Errorf("wrapped: %w", test.err), "X")
		if !strings.HasPrefix(got.Error(), test.want) {
			t.Errorf("%T: %q, want %q", test.err, got, test.want)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%T: the cause is lost", test.err)
		}
	}
}
