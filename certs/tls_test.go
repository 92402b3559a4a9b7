package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// side is what one side of a handshake saw.
type side struct {
	state tls.ConnectionState
	err   error
}

// bufferedPipe is one end of a net.Pipe whose writes do not wait for the reader, since both sides of a
// failing handshake write at once.
type bufferedPipe struct {
	net.Conn
	queue chan []byte
	pumps sync.WaitGroup
}

func newBufferedPipe(conn net.Conn) *bufferedPipe {
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	p := &bufferedPipe{Conn: conn, queue: make(chan []byte, 100)}
	p.pumps.Go(func() {
		for b := range p.queue {
			conn.Write(b) // an error means that the other side has left
		}
	})
	return p
}

func (p *bufferedPipe) Write(b []byte) (int, error) {
	p.queue <- bytes.Clone(b)
	return len(b), nil
}

// Close delivers what was written, and lets the other side do so, too.
func (p *bufferedPipe) Close() error {
	var drain sync.WaitGroup
	drain.Go(func() { io.Copy(io.Discard, p.Conn) })
	close(p.queue)
	p.pumps.Wait()
	err := p.Conn.Close()
	drain.Wait()
	return err
}

// handshake connects the two over a pipe. The server sends one byte after its handshake, so that the node
// learns, too, when the server refuses it.
func handshake(t *testing.T, nodeConfig, serverConfig *tls.Config) (node, server side) {
	t.Helper()
	nodeEnd, serverEnd := net.Pipe()
	nodePipe, serverPipe := newBufferedPipe(nodeEnd), newBufferedPipe(serverEnd)
	var group sync.WaitGroup
	group.Go(func() {
		defer serverPipe.Close()
		conn := tls.Server(serverPipe, serverConfig)
		if server.err = conn.HandshakeContext(t.Context()); server.err == nil {
			_, server.err = conn.Write([]byte{1})
		}
		server.state = conn.ConnectionState()
	})
	group.Go(func() {
		defer nodePipe.Close()
		conn := tls.Client(nodePipe, nodeConfig)
		if node.err = conn.HandshakeContext(t.Context()); node.err == nil {
			_, node.err = conn.Read(make([]byte, 1))
		}
		node.state = conn.ConnectionState()
	})
	group.Wait()
	for _, err := range []error{node.err, server.err} {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the handshake hangs: node: %v, server: %v", node.err, server.err)
		}
	}
	return node, server
}

func mustServerTLS(t testing.TB, key PrivateKey) *tls.Config {
	t.Helper()
	config, err := ServerTLS(key)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func mustNodeTLS(t testing.TB, key PrivateKey, server NodeID) *tls.Config {
	t.Helper()
	config, err := NodeTLS(key, server)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	nodeKey, serverKey := newKey(t), newKey(t)
	nodeConfig, serverConfig := mustNodeTLS(t, nodeKey, serverKey.ID()), mustServerTLS(t, serverKey)
	nodeConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	nodeConfig.ServerName = "any.example"
	for range 2 {
		node, server := handshake(t, nodeConfig, serverConfig)
		if node.err != nil || server.err != nil {
			t.Fatalf("node: %v, server: %v", node.err, server.err)
		}
		if id, err := PeerID(node.state); err != nil || id != serverKey.ID() {
			t.Errorf("the node sees %v, %v; want %v", id, err, serverKey.ID())
		}
		if id, err := PeerID(server.state); err != nil || id != nodeKey.ID() {
			t.Errorf("the server sees %v, %v; want %v", id, err, nodeKey.ID())
		}
		if node.state.Version != tls.VersionTLS13 || node.state.NegotiatedProtocol != "apquic/1" {
			t.Errorf("version %x, protocol %q", node.state.Version, node.state.NegotiatedProtocol)
		}
		if node.state.DidResume || server.state.DidResume {
			t.Error("a session was resumed")
		}
	}
}

func TestWrongServer(t *testing.T) {
	t.Parallel()
	nodeKey, wanted, other := newKey(t), newKey(t), newKey(t)
	node, server := handshake(t, mustNodeTLS(t, nodeKey, wanted.ID()), mustServerTLS(t, other))
	wrong, ok := errors.AsType[*WrongServerError](node.err)
	if !ok || wrong.Want != wanted.ID() || wrong.Got != other.ID() {
		t.Fatalf("got %v, want a WrongServerError with both ids", node.err)
	}
	for _, id := range []string{wanted.ID().String(), other.ID().String()} {
		if !strings.Contains(wrong.Error(), id) {
			t.Errorf("%v: it does not name %s", wrong, id)
		}
	}
	if hintOf(node.err) == "" {
		t.Error("no hint")
	}
	if server.err == nil {
		t.Error("the server does not notice")
	}
}

// ownCertificate makes a certificate for public, signed by signer.
func ownCertificate(t *testing.T, public, private crypto.PrivateKey, signer crypto.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// Every certificate here is shown by the node and by the server.
func TestCertificates(t *testing.T) {
	t.Parallel()
	own := newKey(t).key()
	other := newKey(t).key()
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change func(*x509.Certificate)) tls.Certificate {
		return ownCertificate(t, own.Public(), own, own, change)
	}
	two := signed(nil)
	two.Certificate = append(two.Certificate, two.Certificate[0])

	tests := []struct {
		name        string
		certificate tls.Certificate
		want        string // in the error, "" for none
	}{
		{"plain", signed(nil), ""},
		{"expired", signed(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Unix(1e9, 0), time.Unix(1e9+60, 0)
		}), ""},
		{"not yet valid", signed(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC)
		}), ""},
		{"any names", signed(func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: "somebody else"}
			c.DNSNames, c.IPAddresses = []string{"www.example.com"}, []net.IP{{192, 0, 2, 1}}
		}), ""},
		{"an authority", signed(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), ""},
		{"two", two, "2 certificates"},
		{"ECDSA", ownCertificate(t, ecdsaKey.Public(), ecdsaKey, ecdsaKey, nil), "ECDSA"},
		{"RSA", ownCertificate(t, rsaKey.Public(), rsaKey, rsaKey, nil), "RSA"},
		{"signed by another key", ownCertificate(t, own.Public(), own, other, nil), "not signed by its own key"},
		{"signed by a key of another kind", ownCertificate(t, own.Public(), own, ecdsaKey, nil), "not signed by its own key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check := func(who string, err error) {
				t.Helper()
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("%s: %v, want %q", who, err, test.want)
				}
			}
			right := newKey(t)
			shown := NodeID(own.Public().(ed25519.PublicKey))

			config := mustNodeTLS(t, newKey(t), right.ID())
			config.Certificates = []tls.Certificate{test.certificate}
			node, server := handshake(t, config, mustServerTLS(t, right))
			check("server about the node", server.err)
			if id, err := PeerID(server.state); test.want == "" && (err != nil || id != shown) {
				t.Errorf("the server sees %v, %v; want %v", id, err, shown)
			}
			if test.want != "" && node.err == nil {
				t.Error("the node does not notice")
			}

			config = mustServerTLS(t, newKey(t))
			config.Certificates = []tls.Certificate{test.certificate}
			node, _ = handshake(t, mustNodeTLS(t, right, shown), config)
			check("node about the server", node.err)
		})
	}
}

func TestHandshakeRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		node, server func(*tls.Config) // changes
	}{
		{"node without certificate", func(c *tls.Config) { c.Certificates = nil }, nil},
		{"node with another protocol", func(c *tls.Config) { c.NextProtos = []string{"h3"} }, nil},
		{"node with a newer protocol", func(c *tls.Config) { c.NextProtos = []string{"apquic/2"} }, nil},
		{"node without protocol", func(c *tls.Config) { c.NextProtos = nil }, nil},
		{"node with TLS 1.2", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, nil},
		{"server with another protocol", nil, func(c *tls.Config) { c.NextProtos = []string{"h3"} }},
		{"server without protocol", nil, func(c *tls.Config) {
			c.NextProtos = nil
			c.VerifyConnection = nil
		}},
		{"server with TLS 1.2", nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }},
		{"server with an older protocol that takes anybody", nil, func(c *tls.Config) {
			c.NextProtos = []string{"apquic/0"}
			c.ClientAuth, c.VerifyConnection = tls.NoClientCert, nil
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			serverKey := newKey(t)
			nodeConfig, serverConfig := mustNodeTLS(t, newKey(t), serverKey.ID()), mustServerTLS(t, serverKey)
			if test.node != nil {
				test.node(nodeConfig)
			}
			if test.server != nil {
				test.server(serverConfig)
			}
			node, server := handshake(t, nodeConfig, serverConfig)
			if node.err == nil || server.err == nil {
				t.Errorf("node: %v, server: %v; want two errors", node.err, server.err)
			}
		})
	}
}

func TestTLSNeedsKeys(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	if config, err := ServerTLS(PrivateKey{}); err == nil || config != nil {
		t.Error("a server without a key")
	}
	if config, err := NodeTLS(PrivateKey{}, key.ID()); err == nil || config != nil {
		t.Error("a node without a key")
	}
	if config, err := NodeTLS(key, NodeID{}); err == nil || config != nil {
		t.Error("a node without a server")
	}
}

func TestCertificateIsConstant(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	first, second := mustServerTLS(t, key).Certificates[0], mustNodeTLS(t, key, key.ID()).Certificates[0]
	if string(first.Certificate[0]) != string(second.Certificate[0]) {
		t.Error("one key makes two certificates")
	}
}

func TestPeerIDRefuses(t *testing.T) {
	t.Parallel()
	certificate, err := x509.ParseCertificate(mustServerTLS(t, newKey(t)).Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	good := tls.ConnectionState{NegotiatedProtocol: ALPN, PeerCertificates: []*x509.Certificate{certificate}}
	if _, err := PeerID(good); err != nil {
		t.Fatal(err)
	}
	nobody := *certificate
	nobody.PublicKey = ed25519.PublicKey(make([]byte, ed25519.PublicKeySize))
	for name, state := range map[string]tls.ConnectionState{
		"no handshake":   {},
		"no certificate": {NegotiatedProtocol: ALPN},
		"no protocol":    {PeerCertificates: good.PeerCertificates},
		"zero key":       {NegotiatedProtocol: ALPN, PeerCertificates: []*x509.Certificate{&nobody}},
	} {
		if id, err := PeerID(state); err == nil || !id.IsZero() {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}
