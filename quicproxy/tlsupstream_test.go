package quicproxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"syscall"
	"testing"
)

// TestTLSUpstream: the node speaks TLS to the upstream; each direction still ends on its own, and a reset of
// either side is one.
func TestTLSUpstream(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		certificate, pin := ownCertificate(t)
		ended := make(chan error, 1)
		w.serveTCP("192.168.1.101:443", func(raw net.Conn) {
			c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{certificate}})
			var err error
			line, _ := readLine(c)
			switch line {
			case "reset me\n":
				raw.(lingerer).SetLinger(0)
				raw.Close()
				return
			case "wait\n":
				io.WriteString(c, "waiting")
				_, err = io.ReadAll(c)
			default:
				var rest []byte
				rest, err = io.ReadAll(c)
				io.WriteString(c, "got "+line+string(rest))
				c.Close()
			}
			ended <- err
		})
		w.startServer()
		node := w.startNode(func(c *NodeConfig) {
			c.Services = []Service{{Name: "nas", Upstream: "https://192.168.1.101", Pin: pin}, {Name: "other", Upstream: "https://192.168.1.101", Pin: strings.Repeat("0", 64)}}
		})
		node.leases.wait(t, 2)

		visitor := w.visit("20000")
		if err := writeErr(visitor, "hello\nall"); err != nil {
			t.Fatal(err)
		}
		closeWriteErr(visitor)
		if err := wantRead(visitor, "got hello\nall", nil); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the upstream: %v", err)
		}

		visitor = w.visit("20000")
		if err := writeErr(visitor, "reset me\n"); err != nil {
			t.Fatal(err)
		}
		if err := wantRead(visitor, "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}

		visitor = w.visit("20000")
		if err := errors.Join(writeErr(visitor, "wait\n"), wantPrefix(visitor, "waiting")); err != nil {
			t.Fatal(err)
		}
		visitor.(lingerer).SetLinger(0)
		visitor.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after a reset of the visitor the upstream has %v", err)
		}

		if err := wantRead(w.visit("20001"), "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
		if n := w.logged.count("another certificate than the pinned one"); n != 1 {
			t.Errorf("the log has it %d times:\n%s", n, w.logged.String())
		}
	})
}

func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) == 0 || line[len(line)-1] != '\n'; line = append(line, b...) {
		if _, err := r.Read(b); err != nil {
			return string(line), err
		}
	}
	return string(line), nil
}

// ownCertificate returns one that nobody else signed, and its pin.
func ownCertificate(t *testing.T) (certificate tls.Certificate, pin string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, hex.EncodeToString(sum[:])
}
