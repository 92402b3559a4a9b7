package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
)

// authority is a certificate authority of a home.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // in PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Home"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns a certificate for 127.0.0.1, unless change has it otherwise.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "nas"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func pinOf(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// withColons is how openssl prints a fingerprint.
func withColons(pin string) string {
	var b strings.Builder
	for i := 0; i < len(pin); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(pin[i : i+2]))
	}
	return b.String()
}

// serve runs handle for each connection to the address that it returns.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// serveTLS is serve behind a handshake.
func serveTLS(t *testing.T, certificate tls.Certificate, handle func(*tls.Conn)) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		over := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}})
		if over.Handshake() == nil {
			handle(over)
		}
	})
}

func TestTLSUpstream(t *testing.T) {
	t.Parallel()
	home, other := newAuthority(t), newAuthority(t)
	good := home.issue(nil)
	expired := home.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	named := home.issue(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"nas.lan\n\x1b[2J"} })
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	greet := func(c *tls.Conn) { io.WriteString(c, "hello"); c.Close() }
	plain := serve(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n") })
	for name, test := range map[string]struct {
		at        string
		settings  Settings
		err, hint string // empty: it can be reached
	}{
		"own authority":     {serveTLS(t, good, greet), Settings{CA: home.file}, "", ""},
		"pin":               {serveTLS(t, good, greet), Settings{Pin: pinOf(good)}, "", ""},
		"pin of openssl":    {serveTLS(t, good, greet), Settings{Pin: withColons(pinOf(good))}, "", ""},
		"expired but known": {serveTLS(t, expired, greet), Settings{Pin: pinOf(expired)}, "", ""},
		"the system's": {serveTLS(t, good, greet), Settings{}, `from an authority that this machine does not know: subject "CN=nas", issuer "CN=Home", names ["127.0.0.1"]`,
			`"ca": "/path/to/the/authority.pem" into the service, or, if this is its certificate, "pin": "` + pinOf(good) + `"`},
		"another authority": {serveTLS(t, good, greet), Settings{CA: other.file}, "does not know", `"pin": "` + pinOf(good)},
		"another pin":       {serveTLS(t, good, greet), Settings{Pin: pinOf(named)}, "another certificate than the pinned one", "put its pin into the file; otherwise somebody else"},
		"another name":      {serveTLS(t, named, greet), Settings{CA: home.file}, `for another name: subject "CN=nas", issuer "CN=Home", names ["nas.lan  [2J"]`, `"pin": "` + pinOf(named)},
		"expired":           {serveTLS(t, expired, greet), Settings{CA: home.file}, "its certificate is valid from ", "renew it"},
		"no TLS":            {plain, Settings{CA: home.file}, "does not speak TLS", "http:// instead of https://"},
		"no file":           {plain, Settings{CA: "/nowhere.pem"}, "the certificate authority cannot be read", ""},
		"no PEM":            {plain, Settings{CA: text}, "has no certificate in the form of PEM", ""},
		"a folder":          {plain, Settings{CA: t.TempDir()}, "is not a file of at most", ""},
	} {
		test.settings.Address = "https://" + test.at
		u, err := New(test.settings, new(net.Dialer).DialContext)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c, err := u.Dial(t.Context(), Client{})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(hint.Of(err), test.hint) {
				t.Errorf("%s: %v (hint %q), want %q (%q)", name, err, hint.Of(err), test.err, test.hint)
			} else if got := Code(err); got != framing.ErrorUpstreamUnreachable && name != "no file" {
				t.Errorf("%s: code %v", name, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
		c.Close()
	}
}

func TestTLSSettings(t *testing.T) {
	t.Parallel()
	pin := strings.Repeat("ab", 32)
	for _, s := range []Settings{
		{Address: "https://nas", Pin: "ab"},
		{Address: "https://nas", Pin: strings.Repeat("g", 64)},
		{Address: "https://nas", Pin: pin, CA: "/ca.pem"},
		{Address: "http://nas", Pin: pin},
		{Address: "nas:80", CA: "/ca.pem"},
	} {
		if u, err := New(s, nil); err == nil {
			t.Errorf("%+v: %+v", s, u)
		}
	}
}

// TestTLSEnds: a direction ends with close_notify and the other goes on; a reset or a cut is never taken for an
// end.
func TestTLSEnds(t *testing.T) {
	t.Parallel()
	home := newAuthority(t)
	got := make(chan error, 1)
	reach := func(handle func(*tls.Conn)) net.Conn {
		u, err := New(Settings{Address: "https://" + serveTLS(t, home.issue(nil), handle), CA: home.file}, new(net.Dialer).DialContext)
		if err != nil {
			t.Fatal(err)
		}
		c, err := u.Dial(t.Context(), Client{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}

	c := reach(func(c *tls.Conn) {
		all, err := io.ReadAll(c)
		got <- err
		c.Write(append(all, '!'))
		c.Close()
	})
	io.WriteString(c, "all")
	c.(interface{ CloseWrite() error }).CloseWrite()
	if answer, err := io.ReadAll(c); string(answer) != "all!" || err != nil || <-got != nil {
		t.Errorf("after the end of the request: %q %v", answer, err)
	}
	c.Close()

	c = reach(func(c *tls.Conn) {
		_, err := io.ReadAll(c)
		got <- err
	})
	io.WriteString(c, "not all")
	c.(interface{ SetLinger(int) error }).SetLinger(0)
	c.Close()
	if err := <-got; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset the upstream has %v", err)
	}

	// Many services end without close_notify, which crypto/tls accepts between records only.
	c = reach(func(c *tls.Conn) { c.NetConn().Write([]byte{23, 3, 3, 0, 100, 1}) })
	if _, err := io.ReadAll(c); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a record that was cut: %v", err)
	}
	c.Close()

	c = reach(func(c *tls.Conn) {
		c.NetConn().(*net.TCPConn).SetLinger(0)
		c.NetConn().Close()
	})
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset of the upstream: %v", err)
	}
	c.Close()
}

// TestProxyHeaderBeforeTLS: the header is for what is in front of TLS.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	t.Parallel()
	home := newAuthority(t)
	line := make(chan string, 1)
	address := serve(t, func(c net.Conn) {
		b := make([]byte, len("PROXY UNKNOWN\r\n"))
		io.ReadFull(c, b)
		line <- string(b)
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{home.issue(nil)}}).Handshake()
	})
	u, err := New(Settings{Address: "https://" + address, CA: home.file, ProxyProtocol: 1}, new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	c, err := u.Dial(t.Context(), Client{})
	if got := <-line; err != nil || got != "PROXY UNKNOWN\r\n" {
		t.Fatalf("%q %v", got, err)
	}
	c.Close()
}

// TestSilentTLSUpstream: one that never answers the handshake takes no longer than the dial may.
func TestSilentTLSUpstream(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	go io.Copy(io.Discard, far)
	u, err := New(Settings{Address: "https://nas"}, func(context.Context, string, string) (net.Conn, error) { return near, nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := u.Dial(ctx, Client{}); Code(err) != framing.ErrorUpstreamTimeout {
		t.Errorf("%v: code %v", err, Code(err))
	}
	if _, err := near.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection was left open: %v", err)
	}
}
