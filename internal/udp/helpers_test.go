package udp

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// loopback opens a UDP socket of the system.
func loopback() (net.PacketConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// newConn opens a Conn that the end of the test closes.
func newConn(t testing.TB, open func() (net.PacketConn, error)) *Conn {
	t.Helper()
	c, err := Open(open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newSocketOfTheSystem(t testing.TB) *net.UDPConn {
	t.Helper()
	pc, err := loopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.(*net.UDPConn)
}

func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(100, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		NextProtos:         []string{"test"},
		InsecureSkipVerify: true,
	}
}

// pair is a QUIC connection, both ends of it. The transports are closed with the test.
type pair struct{ client, server *quic.Conn }

func connect(t testing.TB, client, server net.PacketConn, to net.Addr) pair {
	t.Helper()
	tlsConfig := selfSigned(t)
	config := &quic.Config{InitialPacketSize: 1252, DisablePathMTUDiscovery: true, MaxIdleTimeout: time.Minute}
	ct, st := transport(t, client), transport(t, server)
	l, err := st.Listen(tlsConfig, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var p pair
	if p.client, err = ct.Dial(ctx, to, tlsConfig, config); err != nil {
		t.Fatal(err)
	}
	if p.server, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

func transport(t testing.TB, c net.PacketConn) *quic.Transport {
	transport := &quic.Transport{Conn: c, ConnectionIDLength: 8}
	t.Cleanup(func() { transport.Close() })
	return transport
}

// stream opens a stream from one end to the other. A byte there and back shows that the handshake is
// confirmed on both sides; before, a client whose path is lost does not repeat what it has sent (RFC 9002
// section 6.2.1).
func stream(t testing.TB, from, to *quic.Conn) (a, b *quic.Stream) {
	t.Helper()
	a, err := from.OpenStream()
	check(t, err)
	_, err = a.Write([]byte{0})
	check(t, err)
	b, err = to.AcceptStream(context.Background())
	check(t, err)
	_, err = io.CopyN(b, b, 1)
	check(t, err)
	_, err = io.ReadFull(a, make([]byte, 1))
	check(t, err)
	return a, b
}

func receiveText(t testing.TB, c net.PacketConn, want string) net.Addr {
	t.Helper()
	b := make([]byte, 1452)
	n, from, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:n]) != want {
		t.Fatalf("received %q, want %q", b[:n], want)
	}
	return from
}

func send(t testing.TB, c net.PacketConn, text string, to net.Addr) {
	t.Helper()
	if _, err := c.WriteTo([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer has the peer send something to the newest socket of c, which stays open from then on when it is
// replaced.
func answer(t testing.TB, c *Conn, peer net.PacketConn, to net.Addr) {
	t.Helper()
	send(t, peer, "answer", to)
	receiveText(t, c.PacketConn(), "answer")
}
