package udp

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testnet"
)

func TestSimulated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, n *testnet.Network){
		"late datagrams":       testLate,
		"at most two older":    testOlder,
		"silent new socket":    testSilent,
		"deadline":             testDeadline,
		"close":                testClose,
		"failed open":          testFailedOpen,
		"pause":                testPause,
		"repeat":               testRepeat,
		"repeat gets through":  testRepeatQUIC,
		"QUIC on a cut path":   testCutPath,
		"late while it pauses": testLateInPause,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, testnet.New(t)) })
		})
	}
}

func opener(h *testnet.Host) func() (net.PacketConn, error) {
	return func() (net.PacketConn, error) { return h.ListenUDP(0) }
}

// seenAs is the address of the Conn's newest socket for others.
func seenAs(c *Conn, ip string) *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(ip), Port: c.PacketConn().LocalAddr().(*net.UDPAddr).Port}
}

func listen(t *testing.T, n *testnet.Network, ip string) (net.PacketConn, *net.UDPAddr) {
	t.Helper()
	pc, err := n.Host(ip).ListenUDP(1000)
	check(t, err)
	return pc, &net.UDPAddr{IP: net.ParseIP(ip), Port: 1000}
}

func testLate(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	peer, peerAddress := listen(t, n, "192.0.2.2")
	c := newConn(t, opener(host))
	old := seenAs(c, "192.0.2.1")
	var reader sync.WaitGroup
	defer reader.Wait()
	texts := make(chan string)
	reader.Go(func() {
		b := make([]byte, 100)
		for {
			size, _, err := c.PacketConn().ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			check(t, err)
			texts <- string(b[:size])
		}
	})
	defer c.Close()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-texts:
			if got != want {
				t.Errorf("received %q, want %q", got, want)
			}
		case <-time.After(time.Millisecond):
			t.Errorf("%q was lost", want)
		}
	}
	send(t, peer, "before", old)
	expect("before")
	check(t, c.Swap())
	for _, text := range []string{"late", "and more", "and more"} {
		time.Sleep(time.Hour)
		send(t, peer, text, old)
		expect(text)
	}
	send(t, peer, "new", seenAs(c, "192.0.2.1"))
	expect("new")
	time.Sleep(grace - 10*time.Millisecond)
	send(t, peer, "last", old)
	expect("last")
	time.Sleep(20 * time.Millisecond)
	if _, err := host.ListenUDP(uint16(old.Port)); err != nil {
		t.Error("the old socket is still open:", err)
	}
	send(t, c.PacketConn(), "still alive", peerAddress)
	receiveText(t, peer, "still alive")
}

// testOlder: at most two of them are kept, also of those that the peer knows.
func testOlder(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	peer, _ := listen(t, n, "192.0.2.2")
	c := newConn(t, opener(host))
	var addresses []*net.UDPAddr
	for range 6 {
		address := seenAs(c, "192.0.2.1")
		addresses = append(addresses, address)
		send(t, peer, "hello", address)
		receiveText(t, c.PacketConn(), "hello")
		check(t, c.Swap())
	}
	for i, address := range addresses[:4] {
		if _, err := host.ListenUDP(uint16(address.Port)); err != nil {
			t.Errorf("socket %d is still open", i)
		}
	}
	for _, address := range addresses[4:] {
		send(t, peer, "hello", address)
		receiveText(t, c.PacketConn(), "hello")
	}
}

// testSilent: of the sockets that were replaced, the one that the peer knows stays open, and those on which
// nothing ever came do not.
func testSilent(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	peer, peerAddress := listen(t, n, "192.0.2.2")
	c := newConn(t, opener(host))
	known := seenAs(c, "192.0.2.1")
	send(t, peer, "hello", known)
	receiveText(t, c.PacketConn(), "hello")
	var silent []*net.UDPAddr
	for range 5 {
		check(t, c.Swap())
		silent = append(silent, seenAs(c, "192.0.2.1"))
	}
	for _, address := range silent[:4] {
		if _, err := host.ListenUDP(uint16(address.Port)); err != nil {
			t.Errorf("%v is still open", address)
		}
	}
	send(t, peer, "over the path that was known", known)
	receiveText(t, c.PacketConn(), "over the path that was known")
	c.KeepLast()
	send(t, c.PacketConn(), "here", peerAddress)
	receiveText(t, peer, "here")
	c.Repeat()
	receiveText(t, peer, "here") // from the newest
	receiveText(t, peer, "here") // from the known one
}

func testDeadline(t *testing.T, n *testnet.Network) {
	c := newConn(t, opener(n.Host("192.0.2.1")))
	face := c.PacketConn()
	expire := func() {
		t.Helper()
		_, _, err := face.ReadFrom(make([]byte, 10))
		e, ok := err.(net.Error)
		if !ok || !e.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	start := time.Now()
	face.SetReadDeadline(start.Add(time.Minute))
	expire()
	if took := time.Since(start); took != time.Minute {
		t.Errorf("the deadline came after %v", took)
	}
	check(t, c.Swap())
	expire()
	face.SetDeadline(time.Now().Add(time.Minute))
	time.AfterFunc(time.Second, func() { c.Swap() })
	expire()
	if took := time.Since(start); took != 2*time.Minute {
		t.Errorf("the deadline came after %v, through a Swap", took)
	}
	face.SetReadDeadline(time.Time{})
	time.AfterFunc(time.Second, func() { face.SetReadDeadline(time.Now()) })
	expire()
}

func testClose(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	c := newConn(t, opener(host))
	var reader sync.WaitGroup
	defer reader.Wait()
	for range 2 {
		check(t, c.Swap())
		reader.Go(func() { c.PacketConn().SetReadDeadline(time.Time{}) })
	}
	reader.Go(func() {
		if _, _, err := c.PacketConn().ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	synctest.Wait()
	check(t, c.Close())
	check(t, c.Close())
	if _, err := c.PacketConn().WriteTo([]byte("x"), seenAs(c, "192.0.2.1")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := c.Swap(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	c.Repeat()
}

func testFailedOpen(t *testing.T, n *testnet.Network) {
	host := n.Host("192.0.2.1")
	refuse := errors.New("no")
	if _, err := Open(func() (net.PacketConn, error) { return nil, refuse }); err != refuse {
		t.Error(err)
	}
	failing := false
	c := newConn(t, func() (net.PacketConn, error) {
		if failing {
			return nil, refuse
		}
		return host.ListenUDP(0)
	})
	failing = true
	if err := c.Swap(); err != refuse {
		t.Error(err)
	}
	peer, address := listen(t, n, "192.0.2.2")
	send(t, c.PacketConn(), "still alive", address)
	receiveText(t, peer, "still alive")
}

// broken is a socket whose reads fail at once.
type broken struct {
	net.PacketConn
	reads *atomic.Int32
}

func (b broken) ReadFrom([]byte) (int, net.Addr, error) {
	b.reads.Add(1)
	return 0, nil, syscall.ENETDOWN
}

// breaking opens a broken socket, then good ones.
func breaking(h *testnet.Host, reads *atomic.Int32) func() (net.PacketConn, error) {
	opened := false
	return func() (net.PacketConn, error) {
		pc, err := h.ListenUDP(0)
		if !opened {
			opened = true
			return broken{pc, reads}, err
		}
		return pc, err
	}
}

func testPause(t *testing.T, n *testnet.Network) {
	peer, _ := listen(t, n, "192.0.2.2")
	var reads atomic.Int32
	c := newConn(t, breaking(n.Host("192.0.2.1"), &reads))
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { receiveText(t, c.PacketConn(), "hello") })
	time.Sleep(time.Minute)
	if n := reads.Load(); n < 60 || n > 75 {
		t.Errorf("%d reads in a minute", n)
	}
	if n := c.Trouble(); n != uint64(reads.Load()) {
		t.Errorf("counted %d errors of %d", n, reads.Load())
	}
	start := time.Now()
	check(t, c.Swap())
	send(t, peer, "hello", seenAs(c, "192.0.2.1"))
	reader.Wait()
	if took := time.Since(start); took > 0 {
		t.Errorf("the pause went on for %v", took)
	}
	c2 := newConn(t, breaking(n.Host("192.0.2.3"), &reads))
	c2.PacketConn().SetReadDeadline(start.Add(2500 * time.Millisecond))
	if _, _, err := c2.PacketConn().ReadFrom(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(start); took != 2500*time.Millisecond {
		t.Errorf("the deadline came after %v", took)
	}
}

// testLateInPause: what the older socket receives does not wait for the pause of a broken newest one.
func testLateInPause(t *testing.T, n *testnet.Network) {
	host, opened := n.Host("192.0.2.1"), 0
	peer, _ := listen(t, n, "192.0.2.2")
	c := newConn(t, func() (net.PacketConn, error) {
		pc, err := host.ListenUDP(0)
		if opened++; opened == 2 {
			return broken{pc, new(atomic.Int32)}, err
		}
		return pc, err
	})
	old := seenAs(c, "192.0.2.1")
	answer(t, c, peer, old)
	check(t, c.Swap())
	var reader sync.WaitGroup
	defer reader.Wait()
	var at time.Time
	reader.Go(func() {
		receiveText(t, c.PacketConn(), "hello")
		at = time.Now()
	})
	time.Sleep(10500 * time.Millisecond)
	sent := time.Now()
	send(t, peer, "hello", old)
	reader.Wait()
	if wait := at.Sub(sent); wait > 0 {
		t.Errorf("waited %v", wait)
	}
}

func testRepeat(t *testing.T, n *testnet.Network) {
	peer, address := listen(t, n, "192.0.2.2")
	c := newConn(t, opener(n.Host("192.0.2.1")))
	c.Repeat()
	send(t, c.PacketConn(), "not kept", address)
	receiveText(t, peer, "not kept")
	c.Repeat()
	c.KeepLast()
	c.Repeat()
	ports := map[string]bool{}
	send(t, c.PacketConn(), "first", address)
	receiveText(t, peer, "first")
	send(t, c.PacketConn(), "second", address)
	ports[receiveText(t, peer, "second").String()] = true
	answer(t, c, peer, seenAs(c, "192.0.2.1"))
	check(t, c.Swap())
	c.Repeat()
	for range 2 {
		ports[receiveText(t, peer, "second").String()] = true
	}
	if len(ports) != 2 || c.Trouble() != 0 {
		t.Errorf("it came from %v, with %d errors", ports, c.Trouble())
	}
	peer.SetReadDeadline(time.Now().Add(time.Second))
	if _, _, err := peer.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// onlyCopies loses, from some time on, every datagram that it has not seen before.
type onlyCopies struct {
	net.PacketConn
	lossy *atomic.Bool
	mu    sync.Mutex
	seen  map[string]bool
}

func (o *onlyCopies) WriteTo(b []byte, to net.Addr) (int, error) {
	o.mu.Lock()
	lost := o.lossy.Load() && !o.seen[string(b)]
	o.seen[string(b)] = true
	o.mu.Unlock()
	if lost {
		return len(b), nil
	}
	return o.PacketConn.WriteTo(b, to)
}

// testRepeatQUIC: the copy is as good as the original to the server, which acknowledges it: the client's
// retransmission timer, which would fire again and again, has nothing left to do.
func testRepeatQUIC(t *testing.T, n *testnet.Network) {
	n.SetLatency(20 * time.Millisecond)
	peer, address := listen(t, n, "192.0.2.2")
	host := n.Host("192.0.2.1")
	var lossy atomic.Bool
	c := newConn(t, func() (net.PacketConn, error) {
		pc, err := host.ListenUDP(0)
		return &onlyCopies{PacketConn: pc, lossy: &lossy, seen: map[string]bool{}}, err
	})
	c.KeepLast()
	p := connect(t, c.PacketConn(), peer, address)
	from, to := stream(t, p.client, p.server)
	time.Sleep(10 * time.Second) // until nothing of the handshake is left to acknowledge
	lossy.Store(true)
	start, sent := time.Now(), p.client.ConnectionStats()
	if _, err := from.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	c.Repeat()
	if _, err := io.ReadFull(to, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took != 20*time.Millisecond {
		t.Errorf("it took %v, want one way's latency", took)
	}
	time.Sleep(10 * time.Second)
	if now := p.client.ConnectionStats(); now.PacketsSent != sent.PacketsSent+1 || now.PacketsReceived == sent.PacketsReceived {
		t.Errorf("sent %d packets and received %d, want one and its acknowledgement",
			now.PacketsSent-sent.PacketsSent, now.PacketsReceived-sent.PacketsReceived)
	}
}

// testCutPath: the NAT of the first socket is gone for good; the connection goes on from another one.
func testCutPath(t *testing.T, n *testnet.Network) {
	n.SetLatency(20 * time.Millisecond)
	peer, address := listen(t, n, "192.0.2.2")
	wifi, mobile := n.Host("192.0.2.1"), n.Host("192.0.2.3")
	host := wifi
	c := newConn(t, func() (net.PacketConn, error) { return host.ListenUDP(0) })
	p := connect(t, c.PacketConn(), peer, address)
	from, to := stream(t, p.client, p.server)
	wifi.Cut()
	host = mobile
	from.Write([]byte("lost"))
	time.Sleep(5 * time.Second)
	check(t, c.Swap())
	limit := time.Now().Add(30 * time.Second) // the server follows at the client's second packet, which its timer sends
	to.SetReadDeadline(limit)
	from.SetReadDeadline(limit)
	if _, err := io.ReadFull(to, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(from, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}
