package testnet_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/internal/testnet"
)

// TestExampleQUIC shows how a test uses the network: a QUIC connection from behind a NAT lives on while the
// NAT rebinds again and again. Minutes pass inside the bubble, milliseconds outside.
func TestExampleQUIC(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t)
	start := time.Now()
	var virtual time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		network := testnet.New(t)
		network.SetLatency(20 * time.Millisecond)
		network.SetLoss(0.01, 1)
		server := network.Host("198.51.100.1")
		nat := network.NAT("203.0.113.1")
		node := nat.Host("10.0.0.2")

		listener := listenQUIC(t, server, certificate)
		connection := dialQUIC(t, node)
		accepted, err := listener.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go echo(accepted)
		stream, err := connection.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ping(t, stream)
		for range 5 {
			old := accepted.RemoteAddr().String()
			nat.Rebind()
			ping(t, stream)
			time.Sleep(time.Minute)
			ping(t, stream)
			if now := accepted.RemoteAddr().String(); now == old {
				t.Errorf("the server still sends to %s", old)
			}
		}
		virtual = time.Since(start)
	})
	took := time.Since(start)
	t.Logf("%v of virtual time took %v", virtual, took)
	if took > virtual/10 {
		t.Error("that is too long")
	}
}

var quicConfig = &quic.Config{KeepAlivePeriod: 15 * time.Second}

func listenQUIC(t *testing.T, h *testnet.Host, certificate tls.Certificate) *quic.Listener {
	transport := newTransport(t, h, 8090)
	l, err := transport.Listen(&tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"echo"}}, quicConfig)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialQUIC(t *testing.T, h *testnet.Host) *quic.Conn {
	transport := newTransport(t, h, 0)
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"echo"}}
	c, err := transport.Dial(t.Context(), udpAddr(t, "198.51.100.1:8090"), config, quicConfig)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newTransport(t *testing.T, h *testnet.Host, port uint16) *quic.Transport {
	conn, err := h.ListenUDP(port)
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: conn, ConnectionIDLength: 8}
	t.Cleanup(func() {
		transport.Close()
		conn.Close()
	})
	return transport
}

func echo(c *quic.Conn) {
	stream, err := c.AcceptStream(context.Background())
	if err == nil {
		io.Copy(stream, stream)
	}
}

func ping(t *testing.T, stream *quic.Stream) {
	t.Helper()
	stream.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(stream, "ping"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(stream, b); err != nil || string(b) != "ping" {
		t.Fatalf("echo of ping: %q, %v", b, err)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
