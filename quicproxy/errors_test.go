package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

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
		{&quic.ApplicationError{Remote: true, ErrorCode: 1, ErrorMessage: "a\nb\x1b[31m"}, "X closed the connection: ab[31m"},
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

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                    "plain",
		"bell\a and \x1b[2J \r\nx": "bell and [2J x",
		"bad \xff utf8":            "bad  utf8",
		strings.Repeat("ä", 200):   strings.Repeat("ä", 100),
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func udpAddress(address string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address))
}

// TestHandshakeGuard: one address cannot have all handshakes, and all together are bounded.
func TestHandshakeGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testHandshakeGuard) // in which no time passes, so that no limit recovers meanwhile
}

func testHandshakeGuard(t *testing.T) {
	g := newHandshakeGuard()
	begin := func(from string) (context.Context, context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(context.Background())
		ctx, err := g.begin(ctx, &quic.ClientInfo{RemoteAddr: udpAddress(from)})
		return ctx, cancel, err
	}
	allowed := 0
	for range 2 * addressBurst {
		ctx, _, err := begin("[2001:db8::1]:1")
		if err != nil {
			break
		}
		g.done(ctx)
		g.done(ctx) // the second does not count
		allowed++
	}
	if allowed != addressBurst {
		t.Errorf("one address had %d handshakes, want %d", allowed, addressBurst)
	}
	if _, _, err := begin("[2001:db8::2]:9"); err == nil {
		t.Error("its neighbour in the same /64 has a burst of its own")
	}
	if _, _, err := begin("[2001:db8:0:1::1]:9"); err != nil {
		t.Errorf("another network: %v", err)
	}

	// Handshakes that stay open are bounded before their rate is.
	held := 0
	var cancels []context.CancelFunc
	for ; ; held++ {
		_, cancel, err := begin("192.0.2.1:1")
		if err != nil {
			break
		}
		cancels = append(cancels, cancel)
	}
	if held != maxOpenPerAddress {
		t.Errorf("one address has %d handshakes open, want %d", held, maxOpenPerAddress)
	}
	for _, cancel := range cancels {
		cancel()
	}
	cancels = nil
	synctest.Wait() // until they are counted as ended
	for i := range maxOpen - 1 {
		_, cancel, err := begin(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255))
		if err != nil {
			t.Fatalf("handshake %d: %v", i, err)
		}
		cancels = append(cancels, cancel)
	}
	if _, _, err := begin("10.99.0.1:1"); err == nil {
		t.Errorf("more than %d handshakes at once", maxOpen)
	}
	if !g.needsRetry(udpAddress("10.99.0.1:1")) {
		t.Error("no Retry under load")
	}
	for _, cancel := range cancels {
		cancel()
	}
	for i := range 2 * maxAddresses {
		g.mu.Lock()
		g.sourceLocked(udpAddress(fmt.Sprintf("11.%d.%d.1:1", i>>8, i&255)))
		n := len(g.addresses)
		g.mu.Unlock()
		if n > maxAddresses {
			t.Fatalf("%d addresses are remembered", n)
		}
	}
}
