package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/framing"
)

// TestUDPFlood: while clients of one service send more than the connection carries, the control stream, a
// relay and another service over UDP go on.
func TestUDPFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const flood, other = "192.168.1.101:9", "192.168.1.101:53"
		sink, err := w.home.ListenUDP(9)
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		var sinking sync.WaitGroup
		defer sinking.Wait()
		var got atomic.Int64
		sinking.Go(func() {
			for buffer := make([]byte, 2048); ; got.Add(1) {
				if _, _, err := sink.ReadFrom(buffer); err != nil {
					return
				}
			}
		})
		defer sink.Close()
		w.serveUDP(other)
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("flood", "udp://"+flood), expose("dns", "udp://"+other), expose("web", web))
		node.leases.wait(t, 3)
		attacker, friend, relay := w.visitUDP(20000), w.visitUDP(20001), w.visit("20002")
		friend.ask("before")
		exchange(t, relay, "before")
		since := primarySince(server.server)
		w.net.SetLoss(0.01, 1) // the connection carries about 0.6 MB/s
		const long = 5 * time.Second
		over := time.Now().Add(long)
		var floods sync.WaitGroup
		floods.Go(func() {
			for payload := make([]byte, 1100); time.Now().Before(over); time.Sleep(time.Millisecond) {
				for range 3 {
					attacker.Write(payload)
				}
			}
		})
		time.Sleep(time.Second)
		asked, answered, exchanged := 0, 0, 0
		floods.Go(func() {
			for ; time.Now().Before(over); asked++ {
				if _, err := friend.try("hello", 300*time.Millisecond); err == nil {
					answered++
				} else if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
			}
		})
		longest := time.Duration(0) // that a request over the control stream took
		floods.Go(func() {
			for i := 0; time.Now().Before(over); i++ {
				begin := time.Now()
				listener, err := node.node.Listen(t.Context(), fmt.Sprint("new-", i%8))
				if err != nil {
					t.Error(err)
					return
				}
				longest = max(longest, time.Since(begin))
				listener.Close()
				time.Sleep(time.Second)
			}
		})
		floods.Go(func() {
			for ; time.Now().Before(over); exchanged++ {
				exchange(t, relay, "a line over the relay")
			}
		})
		floods.Wait()
		t.Logf("%d datagrams of the flood arrived; %d of %d of the other service; %d exchanges over the relay; requests took up to %v; dropped %v",
			got.Load(), answered, asked, exchanged, longest, server.server.Inspect().Datagrams.Dropped())
		if answered < asked*8/10 || answered < 30 {
			t.Errorf("%d of %d of the other service were answered", answered, asked)
		}
		if longest == 0 || longest > 2*time.Second {
			t.Errorf("a request over the control stream took %v", longest)
		}
		if exchanged < 30 {
			t.Errorf("%d exchanges over the relay", exchanged)
		}
		if server.server.Inspect().Datagrams.Dropped()["overflow"] == 0 || got.Load() < 2000 {
			t.Errorf("the flood was none: %d arrived", got.Load())
		}
		if !primarySince(server.server).Equal(since) {
			t.Error("the node lost its connection")
		}
	})
}

// primarySince is when the primary connection of the only node was made.
func primarySince(s *Server) (since time.Time) {
	for _, session := range s.Status().Sessions {
		if session.Primary {
			since = session.Since
		}
	}
	return since
}

// TestForeignFlows: a node that sends datagrams for flows of another node, for none, or that are not any,
// reaches no client and is answered seldom.
func TestForeignFlows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		honest := newKey(t)
		node := w.startNode(expose("echo", "udp://"+upstreamUDP), func(c *NodeConfig) { c.Key = honest })
		node.leases.wait(t, 1)
		c := w.visitUDP(20000)
		c.ask("hello")
		thief := newAttacker(w, 1, false)
		unknown := 0
		var listening sync.WaitGroup
		listening.Go(func() {
			for {
				b, err := thief.conn.ReceiveDatagram(t.Context())
				if err != nil {
					return
				}
				if d, err := framing.ParseDatagram(b); err != nil || d.Kind != framing.DatagramUnknown {
					t.Errorf("the thief is sent %+v, %v", d, err)
				}
				unknown++
			}
		})
		const long = 10
		for range long * 100 {
			for number := range uint64(5) {
				b, _ := framing.AppendDatagram(nil, framing.Datagram{Flow: number + 1, Payload: []byte("stolen")})
				if err := thief.conn.SendDatagram(b); err != nil {
					t.Fatal(err)
				}
			}
			thief.conn.SendDatagram([]byte{0, 1, 2})
			time.Sleep(10 * time.Millisecond)
		}
		if answer, err := c.try("hello again", time.Second); err != nil || answer[len(answer)-11:] != "hello again" {
			t.Errorf("the client got %q, %v", answer, err)
		}
		dropped := server.server.Inspect().Datagrams.Dropped()
		if dropped["foreign"] == 0 || dropped["noFlow"] == 0 || dropped["malformed"] == 0 {
			t.Errorf("dropped %v", dropped)
		}
		thief.conn.CloseWithError(0, "")
		listening.Wait()
		if unknown == 0 || unknown > 10*(long+2) {
			t.Errorf("%d answers in %d s", unknown, long)
		}
	})
}

// TestDatagramWithoutFeature: whoever sends datagrams where nobody expects them is disconnected.
func TestDatagramWithoutFeature(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpWelcome, 0)
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "dns", Transport: 2}, 2, false))
		p.wantReply(2, framing.OpFailure, framing.ErrorBadRequest)
		b, _ := framing.AppendDatagram(nil, framing.Datagram{Flow: 1})
		p.conn.SendDatagram(b)
		p.wantClose(framing.ErrorUnexpectedMessage)
	})
}

// TestFlowsWithoutLimit: a server that begins flows without limit, over datagrams and streams, costs the node
// a bounded number of sockets, and nothing after a while.
func TestFlowsWithoutLimit(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		node := w.startNode(expose("echo", "udp://"+upstreamUDP), func(c *NodeConfig) { c.Memory = 64 << 20 })
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{Instance: 7, Features: []uint32{1, 4}}, 1, true))
		time.Sleep(time.Second)
		most := 0
		for i := range 3000 {
			beginFlow(t, p, i)
			if i%20 == 0 {
				time.Sleep(10 * time.Millisecond)
				most = max(most, node.node.Inspect().Flows())
			}
		}
		for range 40 { // streams that begin a datagram and do not go on
			stream, err := p.conn.OpenUniStream()
			if err != nil {
				t.Fatal(err)
			}
			stream.Write([]byte{framing.DatagramStream, 0xff, 0xff, 0x03, 1})
		}
		time.Sleep(time.Second)
		if most == 0 || most > 1024 {
			t.Errorf("%d flows, dropped %v", most, node.node.Inspect().Datagrams.Dropped())
		}
		if used := node.node.Inspect().Memory.Used(); used > 1<<20 {
			t.Errorf("%d bytes are held", used)
		}
		p.conn.CloseWithError(0, "")
		time.Sleep(75 * time.Minute) // an hour is the most that a server can ask for
		eventually(t, "ended the flows", func() bool { return node.node.Inspect().Flows() == 0 })
	})
}

// beginFlow sends the first datagram of the nth flow, each of a client of its own.
func beginFlow(t *testing.T, p *peer, n int) {
	t.Helper()
	b, err := framing.AppendDatagram(nil, framing.Datagram{
		Flow: uint64(n + 1), Kind: framing.DatagramFirst, Payload: []byte("x"),
		Header: &framing.FlowHeader{Service: "echo", ClientAddress: (&net.UDPAddr{IP: net.IPv4(10, 0, byte(n>>8), byte(n)), Port: 7}).String(), IdleSeconds: 1 << 31},
	})
	if err != nil || p.conn.SendDatagram(b) != nil {
		t.Fatal(err, "cannot send")
	}
}

// TestDialsOfFlows: while the name of an upstream is not found, flows that begin cost a bounded number of lookups,
// of which relays have as many.
func TestDialsOfFlows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var dials, most atomic.Int64
		next := monkeyServer(w)
		node := w.startNode(expose("echo", "udp://nas.local:53"), func(c *NodeConfig) {
			c.Memory = 64 << 20
			c.DialUpstream = func(ctx context.Context, _, _ string) (net.Conn, error) {
				most.Store(max(most.Load(), dials.Add(1)))
				defer dials.Add(-1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{Instance: 7, Features: []uint32{1, 4}}, 1, true))
		time.Sleep(time.Second)
		for i := range 1500 {
			beginFlow(t, p, i)
			if i%20 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if n := most.Load(); n < 100 || n > 512 {
			t.Errorf("%d lookups at once", n)
		}
		time.Sleep(30 * time.Second)
		if n := dials.Load(); n > 0 || node.node.Inspect().Flows() > 0 {
			t.Errorf("%d lookups are left", n)
		}
		p.conn.CloseWithError(0, "")
	})
}
