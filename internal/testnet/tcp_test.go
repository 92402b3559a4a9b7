package testnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testnet"
)

func TestTCP(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, n *testnet.Network){
		"addresses":                 testTCPAddresses,
		"through a NAT":             testTCPThroughNAT,
		"listening":                 testListen,
		"nobody answers":            testNobodyAnswers,
		"dial waits for the host":   testDialRestored,
		"full backlog":              testBacklog,
		"bounded buffer":            testBuffer,
		"both ends blocked":         testBothBlocked,
		"much data both ways":       testBothWays,
		"network closes everything": testTCPCleanup,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, testnet.New(t)) })
		})
	}
}

func listenTCP(t *testing.T, h *testnet.Host, address string) net.Listener {
	t.Helper()
	l, err := h.ListenTCP(address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connect dials a listener at address and returns both ends.
func connect(t *testing.T, from *testnet.Host, address string, l net.Listener) (dialed, accepted net.Conn) {
	t.Helper()
	dialed, err := from.DialTCP(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

func testTCPAddresses(t *testing.T, n *testnet.Network) {
	server, client := n.Host(serverIP), n.Host("192.0.2.1")
	l := listenTCP(t, server, ":80")
	equal(t, "listener", l.Addr().String(), "[::]:80")
	dialed, accepted := connect(t, client, serverIP+":80", l)
	equal(t, "dialed remote", dialed.RemoteAddr().String(), serverIP+":80")
	equal(t, "accepted local", accepted.LocalAddr().String(), serverIP+":80")
	equal(t, "accepted remote", accepted.RemoteAddr().String(), dialed.LocalAddr().String())
	equal(t, "client's IP", dialed.LocalAddr().(*net.TCPAddr).IP.String(), "192.0.2.1")

	server.Cut() // does not concern the host itself
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", ":80"} {
		dialed, _ := connect(t, server, address, l)
		if !dialed.LocalAddr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("%s dialed from %s", address, dialed.LocalAddr())
		}
	}
	dialed, _ = connect(t, server, serverIP+":80", l)
	equal(t, "own address", dialed.LocalAddr().(*net.TCPAddr).IP.String(), serverIP)
}

func testTCPThroughNAT(t *testing.T, n *testnet.Network) {
	server := n.Host(serverIP)
	nat := n.NAT(natIP)
	inside, neighbour := nat.Host(insideIP), nat.Host("10.0.0.3")
	l := listenTCP(t, server, ":80")
	dialed, accepted := connect(t, inside, serverIP+":80", l)
	equal(t, "seen as", accepted.RemoteAddr().(*net.TCPAddr).IP.String(), natIP)
	equal(t, "local", dialed.LocalAddr().(*net.TCPAddr).IP.String(), insideIP)

	l = listenTCP(t, inside, ":81")
	_, accepted = connect(t, neighbour, insideIP+":81", l)
	equal(t, "neighbour seen as", accepted.RemoteAddr().(*net.TCPAddr).IP.String(), "10.0.0.3")
	if _, err := server.DialTCP(t.Context(), natIP+":81"); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("dial into the NAT: %v", err)
	}
}

func testListen(t *testing.T, n *testnet.Network) {
	h, other := n.Host("192.0.2.1"), n.Host("192.0.2.2")
	listenTCP(t, h, "127.0.0.1:80")
	wildcard := listenTCP(t, h, "0.0.0.0:81")
	for address, want := range map[string]error{
		"127.0.0.1:80": syscall.EADDRINUSE,
		":80":          syscall.EADDRINUSE,
		"192.0.2.1:81": syscall.EADDRINUSE,
		"192.0.2.2:1":  syscall.EADDRNOTAVAIL,
		"192.0.2.1:80": nil,
		"[::1]:80":     nil,
	} {
		if _, err := h.ListenTCP(address); !errors.Is(err, want) {
			t.Errorf("listen at %s: %v, want %v", address, err, want)
		}
	}
	for _, address := range []string{"", "80", "localhost:80", ":http", ":65536"} {
		if _, err := h.ListenTCP(address); err == nil {
			t.Errorf("listening at %q", address)
		}
		if _, err := h.DialTCP(t.Context(), address); err == nil {
			t.Errorf("dialed %q", address)
		}
	}
	if _, err := other.DialTCP(t.Context(), "192.0.2.1:82"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial without a listener: %v", err)
	}
	wildcard.Close()
	listenTCP(t, h, "192.0.2.1:81")
	if a, b := listenTCP(t, h, ":0").Addr(), listenTCP(t, h, ":0").Addr(); a.String() == b.String() {
		t.Error("ephemeral ports are not distinct")
	}
}

func testNobodyAnswers(t *testing.T, n *testnet.Network) {
	h, cut := n.Host("192.0.2.1"), n.Host("192.0.2.2")
	listenTCP(t, cut, ":1")
	cut.Cut()
	for _, address := range []string{"192.0.2.2:1", "192.0.2.3:1"} {
		start := time.Now()
		_, err := h.DialTCP(t.Context(), address)
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() || !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("%s: %v", address, err)
		}
		equal(t, "patience", time.Since(start), 127*time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	_, err := h.DialTCP(ctx, "192.0.2.2:1")
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial with deadline: %v", err)
	}
	equal(t, "patience", time.Since(start), time.Minute)
	if _, err := cut.DialTCP(ctx, "192.0.2.1:1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial after the deadline: %v", err)
	}
}

func testDialRestored(t *testing.T, n *testnet.Network) {
	h, cut := n.Host("192.0.2.1"), n.Host("192.0.2.2")
	listenTCP(t, cut, ":1")
	cut.Cut()
	time.AfterFunc(10*time.Second, cut.Restore)
	start := time.Now()
	if _, err := h.DialTCP(t.Context(), "192.0.2.2:1"); err != nil {
		t.Fatal(err)
	}
	equal(t, "connected after", time.Since(start), 15*time.Second) // 1 + 2 + 4 + 8
}

func testBacklog(t *testing.T, n *testnet.Network) {
	h := n.Host("192.0.2.1")
	l := listenTCP(t, h, ":1")
	dial := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := h.DialTCP(ctx, "192.0.2.1:1")
		return err
	}
	waiting := 0
	for ; dial() == nil; waiting++ {
	}
	equal(t, "waiting connections", waiting, 128)
	time.AfterFunc(time.Second/2, func() { l.Accept() })
	if err := dial(); err != nil {
		t.Error(err)
	}
}

func testBuffer(t *testing.T, n *testnet.Network) {
	h := n.Host("192.0.2.1")
	l := listenTCP(t, h, ":1")
	a, b := connect(t, h, "127.0.0.1:1", l)
	var sent int
	done := make(chan struct{})
	go func() {
		defer close(done)
		sent, _ = a.Write(make([]byte, 100_000))
	}()
	time.Sleep(time.Hour)
	select {
	case <-done:
		t.Fatal("a write of 100,000 bytes does not wait for the reader")
	default:
	}
	b.SetReadDeadline(time.Now())
	got, _ := io.ReadFull(b, make([]byte, 1)) // a deadline in the past reads nothing
	equal(t, "read after the deadline", got, 0)
	b.SetReadDeadline(time.Time{})
	got, _ = b.Read(make([]byte, 100_000))
	equal(t, "bytes in the buffer", got, 64<<10)
	io.ReadFull(b, make([]byte, 100_000-64<<10))
	<-done
	equal(t, "sent", sent, 100_000)
}

// Two writers that wait do not keep each other awake: time goes on.
func testBothBlocked(t *testing.T, n *testnet.Network) {
	h := n.Host("192.0.2.1")
	a, b := connect(t, h, "127.0.0.1:1", listenTCP(t, h, ":1"))
	var group sync.WaitGroup
	for _, end := range []net.Conn{a, b} {
		group.Go(func() {
			end.SetWriteDeadline(time.Now().Add(time.Hour))
			if n, err := end.Write(make([]byte, 1<<20)); n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("wrote %d bytes, error %v", n, err)
			}
		})
	}
	group.Wait()
}

func testBothWays(t *testing.T, n *testnet.Network) {
	server, client := n.Host(serverIP), n.Host("192.0.2.1")
	a, b := connect(t, client, serverIP+":1", listenTCP(t, server, ":1"))
	var group sync.WaitGroup
	for seed, ends := range [][2]net.Conn{{a, b}, {b, a}} {
		data := make([]byte, 3<<20)
		rand.NewChaCha8([32]byte{byte(seed)}).Read(data)
		group.Go(func() {
			io.Copy(ends[0], bytes.NewReader(data))
			ends[0].(tcp).CloseWrite()
		})
		group.Go(func() {
			if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, data) {
				t.Errorf("received %d bytes, error %v", len(got), err)
			}
		})
	}
	group.Wait()
}

// The bubble does not end before the goroutines of the test do.
func testTCPCleanup(t *testing.T, n *testnet.Network) {
	h := n.Host("192.0.2.1")
	l := listenTCP(t, h, ":1")
	a, b := connect(t, h, "127.0.0.1:1", l)
	go l.Accept()
	go a.Read(make([]byte, 1))
	go b.Read(make([]byte, 1))
	go a.Write(make([]byte, 1<<20))
	go h.DialTCP(context.Background(), "192.0.2.9:1")
	synctest.Wait()
}

// recorder is a testing.TB whose Fatalf does not end the real test.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.TB.Cleanup(f) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.text = strings.TrimSpace(format)
	panic(r)
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	n := testnet.New(r)
	host, nat := n.Host("192.0.2.1"), n.NAT(natIP)
	for what, call := range map[string]func(){
		"malformed":             func() { n.Host("192.0.2") },
		"host twice":            func() { n.Host("192.0.2.1") },
		"host twice, mapped":    func() { n.Host("::ffff:192.0.2.1") },
		"host with NAT's":       func() { n.Host(natIP) },
		"NAT with host's":       func() { n.NAT("192.0.2.1") },
		"NAT moves to host's":   func() { nat.SetPublicIP("192.0.2.1") },
		"host moves to NAT's":   func() { host.SetIP(natIP) },
		"inside host malformed": func() { nat.Host("") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the test goes on", what)
				}
			}()
			call()
		}()
	}
}
