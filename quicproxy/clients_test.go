package quicproxy_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/quicstream"
)

// TestPlaceOfLeftClient: a client that left no longer has a place, even if the node never acks what came for
// it, and the cost of such a node is bounded.
func TestPlaceOfLeftClient(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const clients = 10 // of a service; a node may have twice as many, and twice as many relays again
		server := w.startServer(func(c *ServerConfig) { c.MaxClients = clients })
		a := newAttacker(w, 1, false)
		go func() {
			for {
				stream, err := a.conn.AcceptStream(t.Context())
				if err != nil {
					return
				}
				framing.ReadStreamHeader(stream)
				stream.Close() // and not a word of what came
			}
		}()
		for i := range 100 {
			c := w.visit("20000")
			writeErr(c, "something to confirm")
			c.Close()
			time.Sleep(100 * time.Millisecond)
			eventually(t, fmt.Sprintf("the place of client %d", i), func() bool { return server.server.Inspect().Clients.Open() == 0 })
		}
		synctest.Wait()
		if n, _ := server.server.Inspect().Associations[0].Size(); n != 4*clients {
			t.Errorf("%d relays", n)
		}
		if n := w.logged.count("the node has as many relays as it may have"); n == 0 {
			t.Error("nobody is told")
		}
		time.Sleep(quicproxy.DefaultResumeTime + time.Minute)
		if n := relaying(server.server); n != 0 {
			t.Errorf("%d relays are left", n)
		}
	})
}

// TestIdleClients: addresses that fill all places of a service with idle connections keep nobody out.
func TestIdleClients(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.MaxClients, c.MaxClientsPerAddress = 40, 10 })
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		for i := range 4 {
			host := w.net.Host(fmt.Sprintf("198.51.100.%d", 100+i))
			for range 10 {
				if _, err := host.DialTCP(t.Context(), serverIP+":20000"); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		var visitors []net.Conn
		for range 6 { // as many as a browser opens
			c := w.visit("20000")
			exchange(t, c, "let in")
			visitors = append(visitors, c)
		}
		for _, c := range visitors {
			exchange(t, c, "and not thrown out")
		}
	})
}

// TestBrowsersBesideNetwork: the owner of a /48 connects once from each of many addresses, again and again.
// Honest visitors, with some connections from one address, keep them, and new ones get in.
func TestBrowsersBesideNetwork(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.MaxClients = 60 })
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		browse := func() (c []net.Conn) {
			for range 6 {
				c = append(c, w.visit("20000"))
				exchange(t, c[len(c)-1], "let in")
			}
			return c
		}
		first := browse()
		attack := func(round int) {
			for i := range 100 {
				host := w.net.Host(fmt.Sprintf("2001:db8:7:%x::%x", i<<8, round))
				if _, err := host.DialTCP(t.Context(), serverIP+":20000"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		attack(1)
		if n := server.server.Inspect().Clients.Open(); n != 60 {
			t.Errorf("%d places are taken", n)
		}
		w.visitor = w.net.Host("2001:db8:8::7")
		second := browse()
		attack(2)
		for _, c := range append(first, second...) {
			exchange(t, c, "not thrown out")
		}
	})
}

// TestNodeOfManyServices: the limits of a service hold for its node, too.
func TestNodeOfManyServices(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.MaxClients = 10 })
		w.serveTCP(web, echo)
		w.startNode(expose("a", web), expose("b", web), expose("c", web), expose("d", web)).leases.wait(t, 4)
		for port := range 4 {
			for i := range 10 {
				host := w.net.Host(fmt.Sprintf("198.51.101.%d", 10*port+i))
				c, err := host.DialTCP(t.Context(), fmt.Sprintf("%s:%d", serverIP, 20000+port))
				if err != nil {
					t.Fatal(err)
				}
				writeErr(c, "x")
			}
		}
		time.Sleep(time.Second)
		if n := server.server.Inspect().Clients.Open(); n != 20 {
			t.Errorf("%d clients of one node, want 20", n)
		}
		if n := server.server.Status().Counters.Refused; n != 20 {
			t.Errorf("%d were refused", n)
		}
	})
}

// TestServerOpensStreams: a server that keeps opening streams, or never sends their headers, costs a node a
// bounded amount.
func TestServerOpensStreams(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		node := w.startNode(expose("web", web))
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{}, 1, true))
		var streams []*quic.Stream
		for range 3 * maxUnheard {
			stream, err := p.conn.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stream.Write([]byte{1})
			streams = append(streams, stream)
		}
		time.Sleep(time.Second)
		if n := node.node.Inspect().Unheard.Len(); n != maxUnheard {
			t.Errorf("%d streams without a header, want %d", n, maxUnheard)
		}
		if n := node.node.Inspect().Streams.Len(); n != maxUnheard {
			t.Errorf("%d streams", n)
		}
		_, err := streams[len(streams)-1].Read(make([]byte, 1))
		if code, ok := quicstream.RemoteCode(err); !ok || code != framing.ErrorNodeBusy {
			t.Errorf("the last one: %v", err)
		}
		time.Sleep(headerTimeout)
		if n := node.node.Inspect().Streams.Len(); n != 0 {
			t.Errorf("%d streams after their time", n)
		}
	})
}

// TestClientOfNode: at a node, no client that the server claims has all places, and the idle ones of the
// largest one make room.
func TestClientOfNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, echo)
		config := w.nodeConfig()
		leases := &leaseLog{changed: make(chan struct{})}
		config.OnLease = leases.add
		expose("web", web)(&config)
		node, err := NewNode(config)
		if err != nil {
			t.Fatal(err)
		}
		node.Inspect().LimitClients(16)
		start(t, &running{node: node, leases: leases}, node.Run).leasesWait(t)
		for i := range 4 {
			greedy := w.net.Host(fmt.Sprintf("203.0.%d.9", i))
			for range 8 {
				c, err := greedy.DialTCP(t.Context(), serverIP+":20000")
				if err != nil {
					t.Fatal(err)
				}
				writeErr(c, "x")
			}
		}
		time.Sleep(time.Second)
		if n := node.Inspect().Clients(); n != 16 {
			t.Errorf("%d places are taken", n)
		}
		c := w.visit("20000")
		exchange(t, c, "another client")
		exchange(t, c, "is not thrown out")
		if n := node.Inspect().Clients(); n != 16 {
			t.Errorf("%d places are taken", n)
		}
	})
}

// TestStreamsWithoutUpstream: what comes on a stream counts while its upstream is dialed.
func TestStreamsWithoutUpstream(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		node := w.startNode(expose("web", web), func(c *NodeConfig) {
			c.Memory = 1 << 20
			c.DialUpstream = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}).leasesWait(t)
		stop := watchMemory(t, node.node.Inspect().Memory)
		for range 12 {
			go endless(w.visit("20000"))
		}
		time.Sleep(5 * time.Second)
		if used := node.node.Inspect().Memory.Used(); used < quicconfig.InitialStreamWindow {
			t.Errorf("%d bytes count while upstreams are dialed", used)
		}
		if w.logged.count("its upstream does not answer") == 0 {
			t.Error("no stream was reset")
		}
		stop()
		wantNothingHeld(t, node.node.Inspect().Memory)
	})
}

// TestRefusedStreams: what came on a stream counts until the server ends it, even if the node refuses it.
func TestRefusedStreams(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		node := w.startNode(expose("web", web))
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{}, 1, true))
		time.Sleep(time.Second)
		stream, err := p.conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		header, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{Service: "other"})
		if err != nil {
			t.Fatal(err)
		}
		// The header comes last, or the node might refuse the stream before the rest is there, and keep none
		// of it.
		w.machine.Cut()
		stream.Write(header)
		synctest.Wait()
		w.machine.Restore()
		stream.Write(make([]byte, 8<<10)) // its ack, at 20 ms, shows that the header was lost: the node has it at 30 ms
		time.Sleep(35 * time.Millisecond)
		w.nat.Cut() // the server does not hear that the stream is refused
		time.Sleep(time.Second)
		if used := node.node.Inspect().Memory.Used(); used < 8<<10 {
			t.Errorf("%d bytes count, %d came", used, 8<<10)
		}
		w.nat.Restore()
		wantNothingHeld(t, node.node.Inspect().Memory)
	})
}
