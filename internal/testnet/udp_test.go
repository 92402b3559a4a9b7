package testnet_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testnet"
)

func TestUDP(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, n *testnet.Network){
		"source address":            testSource,
		"latency":                   testLatency,
		"order":                     testOrder,
		"loss":                      testLoss,
		"size":                      testSize,
		"deadline":                  testDeadline,
		"ports":                     testPorts,
		"close":                     testClose,
		"cut":                       testCut,
		"changed address":           testSetIP,
		"NAT":                       testNAT,
		"NAT rebinding":             testRebind,
		"NAT rebinding under way":   testRebindUnderWay,
		"NAT, timeout":              testNATTimeout,
		"NAT's address":             testSetPublicIP,
		"NAT, changed inside":       testInsideSetIP,
		"two NATs, same inside":     testTwoNATs,
		"neighbours":                testNeighbours,
		"network closes everything": testUDPCleanup,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, testnet.New(t)) })
		})
	}
}

const (
	serverIP = "198.51.100.1"
	natIP    = "203.0.113.1"
	insideIP = "10.0.0.2"
)

// endpoint is a socket with a voice that fails the test.
type endpoint struct {
	net.PacketConn
	t *testing.T
}

func listen(t *testing.T, h *testnet.Host, port uint16) endpoint {
	t.Helper()
	c, err := h.ListenUDP(port)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint{c, t}
}

func (e endpoint) send(to, text string) {
	e.t.Helper()
	if _, err := e.WriteTo([]byte(text), udpAddr(e.t, to)); err != nil {
		e.t.Fatal(err)
	}
}

// receive waits for a packet and returns where it came from.
func (e endpoint) receive(text string) string {
	e.t.Helper()
	b := make([]byte, 2000)
	e.SetReadDeadline(time.Now().Add(time.Minute))
	n, from, err := e.ReadFrom(b)
	if err != nil {
		e.t.Fatal(err)
	}
	if string(b[:n]) != text {
		e.t.Fatalf("received %q, want %q", b[:n], text)
	}
	return from.String()
}

// silence checks that nothing comes for a minute.
func (e endpoint) silence() {
	e.t.Helper()
	e.SetReadDeadline(time.Now().Add(time.Minute))
	if n, from, err := e.ReadFrom(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		e.t.Fatalf("received %d bytes from %v, error %v; want silence", n, from, err)
	}
}

func udpAddr(t *testing.T, address string) *net.UDPAddr {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func testSource(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1000), listen(t, n.Host("2001:db8::1"), 2000)
	a.send("[2001:db8::1]:2000", "hello")
	equal(t, "source", b.receive("hello"), "192.0.2.1:1000")
	b.send("[::ffff:192.0.2.1]:1000", "mapped")
	equal(t, "source", a.receive("mapped"), "[2001:db8::1]:2000")
	equal(t, "local address", a.LocalAddr().String(), "[::]:1000")
	a.send("192.0.2.9:1", "nobody there")
	a.send("192.0.2.1:9", "nobody listens")
	if _, err := a.WriteTo(nil, &net.TCPAddr{}); err == nil {
		t.Error("sent to a TCP address")
	}
}

func testLatency(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, time.Hour} {
		n.SetLatency(latency)
		start := time.Now()
		a.send("192.0.2.2:1", "x")
		b.SetReadDeadline(time.Time{})
		if _, _, err := b.ReadFrom(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		equal(t, "latency", time.Since(start), latency)
	}
}

// Hundreds of packets wait for a late reader, in order.
func testOrder(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
	n.SetLatency(time.Millisecond)
	for i := range 500 {
		a.send("192.0.2.2:1", fmt.Sprint(i))
	}
	time.Sleep(time.Second)
	for i := range 500 {
		b.receive(fmt.Sprint(i))
	}
}

func testLoss(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
	const packets = 2000
	arrived := func(p float64, seed uint64) (count int) {
		n.SetLoss(p, seed)
		for range packets {
			a.send("192.0.2.2:1", "x")
		}
		b.SetReadDeadline(time.Now().Add(time.Second))
		for {
			if _, _, err := b.ReadFrom(make([]byte, 1)); err != nil {
				return count
			}
			count++
		}
	}
	equal(t, "arrived without loss", arrived(0, 1), packets)
	equal(t, "arrived with all lost", arrived(1, 1), 0)
	if got := arrived(0.25, 1); got < packets*70/100 || got > packets*80/100 {
		t.Errorf("%d of %d packets arrived at 25 %% loss", got, packets)
	}
}

// The same seed loses the same packets, another one others.
func TestLossIsSeeded(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64) string {
		var b strings.Builder
		synctest.Test(t, func(t *testing.T) {
			n := testnet.New(t)
			n.SetLoss(0.5, seed)
			one, two := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
			for range 50 {
				one.send("192.0.2.2:1", "x")
				synctest.Wait()
				two.SetReadDeadline(time.Now().Add(time.Second))
				_, _, err := two.ReadFrom(make([]byte, 1))
				fmt.Fprint(&b, err == nil, " ")
			}
		})
		return b.String()
	}
	first := pattern(1)
	equal(t, "second run", pattern(1), first)
	if pattern(2) == first {
		t.Error("another seed loses the same packets")
	}
}

func testSize(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
	a.send("192.0.2.2:1", strings.Repeat("x", 1473))
	a.send("192.0.2.2:1", strings.Repeat("y", 1472))
	b.receive(strings.Repeat("y", 1472))
}

func testDeadline(t *testing.T, n *testnet.Network) {
	a := listen(t, n.Host("192.0.2.1"), 1)
	go func() {
		time.Sleep(time.Second)
		a.SetReadDeadline(time.Unix(1, 0)) // wakes the reader, as quic.Transport.Close does
	}()
	_, _, err := a.ReadFrom(nil)
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read ended with %v", err)
	}
	a.SetWriteDeadline(time.Unix(1, 0))
	if _, err := a.WriteTo(nil, udpAddr(t, "192.0.2.1:1")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write ended with %v", err)
	}
}

func testPorts(t *testing.T, n *testnet.Network) {
	h := n.Host("192.0.2.1")
	a := listen(t, h, 0)
	port := uint16(a.LocalAddr().(*net.UDPAddr).Port)
	if _, err := h.ListenUDP(port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second socket: %v", err)
	}
	if port == 0 || listen(t, h, 0).LocalAddr().String() == a.LocalAddr().String() {
		t.Error("ephemeral ports are not distinct")
	}
	a.Close()
	listen(t, h, port)
}

func testClose(t *testing.T, n *testnet.Network) {
	a, b := listen(t, n.Host("192.0.2.1"), 1), listen(t, n.Host("192.0.2.2"), 1)
	n.SetLatency(time.Second)
	a.send("192.0.2.2:1", "last words")
	b.send("192.0.2.1:1", "too late")
	ended := make(chan error)
	go func() {
		_, _, err := a.ReadFrom(nil)
		ended <- err
	}()
	synctest.Wait()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	_, writeErr := a.WriteTo(nil, udpAddr(t, "192.0.2.2:1"))
	for what, err := range map[string]error{"blocked read": <-ended, "write": writeErr, "second close": a.Close()} {
		if _, ok := err.(*net.OpError); !ok || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.receive("last words")
}

func testCut(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	a, b := listen(t, host, 1), listen(t, n.Host("192.0.2.2"), 1)
	n.SetLatency(10 * time.Millisecond)
	b.send("192.0.2.1:1", "under way")
	time.Sleep(5 * time.Millisecond)
	host.Cut()
	b.send("192.0.2.1:1", "to the cut host")
	a.send("192.0.2.2:1", "from the cut host")
	a.silence()
	b.silence()
	host.Restore()
	a.send("192.0.2.2:1", "back")
	b.receive("back")
}

func testSetIP(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	a, b := listen(t, host, 1), listen(t, n.Host("192.0.2.2"), 1)
	n.SetLatency(10 * time.Millisecond)
	b.send("192.0.2.1:1", "under way")
	time.Sleep(5 * time.Millisecond)
	host.SetIP("192.0.2.3")
	b.send("192.0.2.1:1", "to the old address")
	a.silence()
	a.send("192.0.2.2:1", "moved")
	equal(t, "source", b.receive("moved"), "192.0.2.3:1")
	b.send("192.0.2.3:1", "found")
	a.receive("found")
	n.Host("192.0.2.1") // free again
}

func testNAT(t *testing.T, n *testnet.Network) {
	server, other := listen(t, n.Host(serverIP), 1), listen(t, n.Host("198.51.100.2"), 1)
	inside := listen(t, n.NAT(natIP).Host(insideIP), 5000)
	inside.send(serverIP+":1", "one")
	mapped := server.receive("one")
	if mapped == natIP+":5000" || !strings.HasPrefix(mapped, natIP+":") {
		t.Errorf("inside host seen as %s", mapped)
	}
	inside.send(serverIP+":1", "two")
	equal(t, "mapping of the second packet", server.receive("two"), mapped)
	server.send(mapped, "reply")
	equal(t, "source of the reply", inside.receive("reply"), serverIP+":1")

	inside.send("198.51.100.2:1", "three")
	if other.receive("three") == mapped {
		t.Error("mapping does not depend on the destination")
	}
	other.send(mapped, "foreign")
	other.send(insideIP+":5000", "private address")
	other.send(natIP+":5000", "no mapping")
	inside.silence()
}

func testRebind(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	nat := n.NAT(natIP)
	inside := listen(t, nat.Host(insideIP), 0)
	seen := map[string]bool{}
	old := ""
	for range 5 {
		inside.send(serverIP+":1", "x")
		mapped := server.receive("x")
		if seen[mapped] {
			t.Errorf("%s came back", mapped)
		}
		seen[mapped] = true
		if old != "" {
			server.send(old, "to the old mapping")
			inside.silence()
		}
		server.send(mapped, "reply")
		inside.receive("reply")
		nat.Rebind()
		old = mapped
	}
}

func testRebindUnderWay(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	nat := n.NAT(natIP)
	inside := listen(t, nat.Host(insideIP), 0)
	inside.send(serverIP+":1", "x")
	mapped := server.receive("x")
	n.SetLatency(10 * time.Millisecond)
	server.send(mapped, "under way")
	time.Sleep(5 * time.Millisecond)
	nat.Rebind()
	inside.silence()
}

// testNATTimeout: a mapping lives as long as something keeps it, and its port does not come back.
func testNATTimeout(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	nat := n.NAT(natIP)
	inside := listen(t, nat.Host(insideIP), 0)
	out := func() string {
		inside.send(serverIP+":1", "out")
		return server.receive("out")
	}
	nat.SetTimeout(time.Minute, false)
	mapped := out()
	time.Sleep(59 * time.Second)
	equal(t, "mapping that went out in time", out(), mapped)
	time.Sleep(59 * time.Second)
	server.send(mapped, "in")
	inside.receive("in")
	time.Sleep(time.Second)
	server.send(mapped, "too late")
	inside.silence()
	second := out()
	if second == mapped {
		t.Errorf("%s came back", mapped)
	}
	nat.SetTimeout(time.Minute, true)
	for range 3 {
		time.Sleep(59 * time.Second)
		server.send(second, "keeps it")
		inside.receive("keeps it")
	}
	equal(t, "mapping that was kept from outside", out(), second)
	time.Sleep(30 * time.Second)
	nat.SetTimeout(20*time.Second, true) // at once
	server.send(second, "too late")
	inside.silence()
	nat.SetTimeout(0, false)
	third := out()
	time.Sleep(24 * time.Hour)
	equal(t, "mapping without a timeout", out(), third)
}

func testSetPublicIP(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	nat := n.NAT(natIP)
	inside := listen(t, nat.Host(insideIP), 0)
	inside.send(serverIP+":1", "before")
	old := server.receive("before")
	nat.SetPublicIP("203.0.113.2")
	server.send(old, "to the old address")
	inside.silence()
	inside.send(serverIP+":1", "after")
	mapped := server.receive("after")
	if !strings.HasPrefix(mapped, "203.0.113.2:") {
		t.Errorf("inside host seen as %s", mapped)
	}
	server.send(mapped, "reply")
	inside.receive("reply")
}

func testInsideSetIP(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	host := n.NAT(natIP).Host(insideIP)
	inside := listen(t, host, 1)
	inside.send(serverIP+":1", "before")
	old := server.receive("before")
	host.SetIP("10.0.0.3")
	server.send(old, "to the old mapping")
	inside.silence()
	inside.send(serverIP+":1", "after")
	if server.receive("after") == old {
		t.Error("mapping survived the change of the inside address")
	}
}

func testTwoNATs(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	one, two := listen(t, n.NAT(natIP).Host(insideIP), 1), listen(t, n.NAT("203.0.113.2").Host(insideIP), 1)
	one.send(serverIP+":1", "one")
	fromOne := server.receive("one")
	two.send(serverIP+":1", "two")
	fromTwo := server.receive("two")
	server.send(fromTwo, "to two")
	server.send(fromOne, "to one")
	one.receive("to one")
	two.receive("to two")
}

func testNeighbours(t *testing.T, n *testnet.Network) {
	server := listen(t, n.Host(serverIP), 1)
	nat := n.NAT(natIP)
	a, b := listen(t, nat.Host(insideIP), 1), listen(t, nat.Host("10.0.0.3"), 1)
	a.send("10.0.0.3:1", "direct")
	equal(t, "neighbour", b.receive("direct"), insideIP+":1")

	a.send(serverIP+":1", "a")
	b.send(serverIP+":1", "b")
	server.receive("a")
	outsideB := server.receive("b")
	a.send(outsideB, "foreign, from the inside")
	b.silence()
}

func testUDPCleanup(t *testing.T, n *testnet.Network) {
	a := listen(t, n.Host("192.0.2.1"), 1)
	go a.ReadFrom(nil) // the bubble does not end before this does
}
