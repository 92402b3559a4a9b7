package quicproxy_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"apquic/internal/testrace"
)

// flows are relays of one kind of traffic each, watched for when data arrives.
type flows struct {
	t      *testing.T
	w      *world
	server *Server
	moved  atomic.Int64
}

// traffics begin traffic over a relay; each byte that comes through is counted.
var traffics = map[string]func(f *flows){
	"download": func(f *flows) {
		f.w.serveTCP(web, steady)
		c := f.client()
		go io.Copy(counter{&f.moved}, c)
	},
	"upload": func(f *flows) {
		f.w.serveTCP(web, func(c net.Conn) { io.Copy(counter{&f.moved}, c) })
		go steady(f.client())
	},
	"echo": func(f *flows) {
		f.w.serveTCP(web, echo)
		c := f.client()
		go func() {
			for message := make([]byte, 10); ; f.moved.Add(1) {
				if _, err := c.Write(message); err != nil {
					return
				}
				if _, err := io.ReadFull(c, message); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
	},
	// The service speaks now and then, the client never.
	"pushes": func(f *flows) {
		f.w.serveTCP(web, func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("news")); err != nil {
					return
				}
				time.Sleep(2 * time.Second)
			}
		})
		go io.Copy(counter{&f.moved}, f.client())
	},
}

// endless writes 5 MB/s, more than its readers want.
func endless(c net.Conn) { repeat(c, 50<<10) }

// steady writes 1 MB/s: enough to fill the congestion window as soon as nothing is acked.
func steady(c net.Conn) { repeat(c, 10<<10) }

// repeat writes a chunk every 10 ms.
func repeat(c net.Conn, bytes int) {
	for chunk := make([]byte, bytes); ; time.Sleep(10 * time.Millisecond) {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

func (f *flows) client() net.Conn {
	c := f.w.visit("20000")
	c.SetDeadline(time.Time{})
	return c
}

// untilMoved waits until data comes again.
func (f *flows) untilMoved(limit time.Duration) time.Duration {
	f.t.Helper()
	begin := time.Now()
	for before := f.moved.Load(); f.moved.Load() == before; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > limit {
			f.t.Fatalf("no data within %v", limit)
		}
	}
	return time.Since(begin)
}

// mobile runs f for every kind of traffic.
func mobile(t *testing.T, run func(t *testing.T, w *world, f *flows), change ...func(*ServerConfig)) {
	for name := range traffics {
		mobileWith(t, name, run, change...)
	}
}

// mobileWith runs f for one kind of traffic.
func mobileWith(t *testing.T, traffic string, run func(t *testing.T, w *world, f *flows), change ...func(*ServerConfig)) {
	t.Run(traffic, func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.net.SetLatency(20 * time.Millisecond)
			server := w.startServer(change...)
			w.startNode(expose("web", web), func(c *NodeConfig) { c.IdleTimeout = 2 * time.Hour }).leasesWait(t)
			f := &flows{t: t, w: w, server: server.server}
			traffics[traffic](f)
			time.Sleep(500 * time.Millisecond)
			run(t, w, f)
			if relays := server.server.Status().Counters.Relays; relays != 1 {
				t.Errorf("%d relays began, want the same one all the time", relays)
			}
		})
	})
}

// TestOutages: no relay is lost, and data flows again within a second after the path is back, whatever QUIC's
// retransmission timers say: those double, and after a minute without a path the next one may take another
// minute. Repeated outages are another matter than long ones: an hour is 7200 attempts to get through, so
// only one is tested.
func TestOutages(t *testing.T) {
	for outage, times := range map[time.Duration]int{
		time.Second: 3, 5 * time.Second: 3, 20 * time.Second: 3, time.Minute: 3, time.Hour: 1,
	} {
		times = testrace.Whole(times, 1)
		t.Run(outage.String(), func(t *testing.T) {
			mobile(t, func(t *testing.T, w *world, f *flows) {
				for range times {
					w.nat.Cut()
					time.Sleep(outage)
					w.nat.Restore()
					took := f.untilMoved(outage + time.Minute)
					t.Logf("data again %v after an outage of %v", took, outage)
					if took > max(1500*time.Millisecond, outage/1500) {
						t.Error("that is too long")
					}
					time.Sleep(3 * time.Second)
				}
			}, func(c *ServerConfig) { c.IdleTimeout = 2 * time.Hour })
		})
	}
}

// TestOutagesInARow: the eighth outage of an hour costs no more than the first. Each one shrinks the
// congestion window of a connection that carries little, and what the node said meanwhile is sent again
// before anything else.
func TestOutagesInARow(t *testing.T) {
	outages := testrace.Whole(8, 0)
	if outages == 0 {
		t.Skip("TestOutages has an hour for the race detector")
	}
	for _, traffic := range []string{"echo", "pushes"} {
		mobileWith(t, traffic, func(t *testing.T, w *world, f *flows) {
			var late time.Duration // in all, after the second half of the outages
			for i := range outages {
				w.nat.Cut()
				time.Sleep(time.Hour)
				w.nat.Restore()
				if took := f.untilMoved(time.Minute); i >= outages/2 {
					late += took
				}
				time.Sleep(3 * time.Second)
			}
			if mean := late / time.Duration(outages-outages/2); mean > time.Second {
				t.Errorf("data again %v after each outage, in the mean of the last %d", mean, outages-outages/2)
			}
		}, func(c *ServerConfig) { c.IdleTimeout = 2 * time.Hour })
	}
}

// TestMoves: the machine gets another address, or its NAT does, and netlink reports it; nothing is lost.
func TestMoves(t *testing.T) {
	for name, move := range map[string]func(w *world){
		"address of the machine": func(w *world) { w.home.SetIP("192.168.1.202") },
		"address of the NAT":     func(w *world) { w.nat.SetPublicIP("192.0.2.99") },
		"mappings of the NAT":    func(w *world) { w.nat.Rebind() },
	} {
		t.Run(name, func(t *testing.T) {
			mobile(t, func(t *testing.T, w *world, f *flows) {
				move(w)
				took := f.untilMoved(time.Minute)
				t.Logf("data again after %v", took)
				if took > 2*time.Second {
					t.Error("that is too long")
				}
			})
		})
	}
}

// TestDeadSocket: the path of a socket dies for good, as with an interface that is gone or a NAT that keeps a
// broken mapping; the same connection continues on a new socket.
func TestDeadSocket(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var dead atomic.Bool
		first := true
		w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web), func(c *NodeConfig) {
			c.ListenPacket = func() (net.PacketConn, error) {
				socket, err := w.home.ListenUDP(0)
				if !first {
					return socket, err
				}
				first = false
				return mortal{socket, &dead}, err
			}
		}).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		dead.Store(true)
		exchange(t, c, "after")
	})
}

// mortal is a socket that goes silent.
type mortal struct {
	net.PacketConn
	dead *atomic.Bool
}

func (m mortal) WriteTo(b []byte, to net.Addr) (int, error) {
	if m.dead.Load() {
		return len(b), nil
	}
	return m.PacketConn.WriteTo(b, to)
}

// TestNetworkChange: a changed route to the server makes the node move at once.
func TestNetworkChange(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		source := netip.MustParseAddr("192.168.1.101")
		changed := make(chan struct{})
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web), func(c *NodeConfig) {
			c.Source = func(netip.AddrPort) netip.Addr { return source }
			c.WatchNetwork = func(ctx context.Context, tell func()) {
				for {
					select {
					case <-changed:
						tell()
					case <-ctx.Done():
						return
					}
				}
			}
		}).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		before := server.server.Status().Sessions[0].Address
		changed <- struct{}{} // nothing that concerns us
		time.Sleep(time.Second)
		if now := server.server.Status().Sessions[0].Address; now != before {
			t.Errorf("moved from %s to %s without a reason", before, now)
		}
		w.home.SetIP("192.168.1.202")
		source = netip.MustParseAddr("192.168.1.202")
		changed <- struct{}{}
		time.Sleep(200 * time.Millisecond)
		if now := server.server.Status().Sessions[0].Address; now == before {
			t.Error("the server does not know the new address yet")
		}
		exchange(t, c, "after")
	})
}

// TestLatePacket: a late packet on the old socket does not end the attempts to reach the server.
func TestLatePacket(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var broken atomic.Int64 // sockets opened before can no longer send
		w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web), func(c *NodeConfig) {
			c.ListenPacket = func() (net.PacketConn, error) {
				socket, err := w.home.ListenUDP(0)
				return muted{socket, time.Now(), &broken}, err
			}
		}).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		time.Sleep(3 * time.Second)
		broken.Store(time.Now().Add(19 * time.Second).UnixNano())
		time.Sleep(16500 * time.Millisecond) // the first new socket is as broken as the old one
		begin := time.Now()
		exchange(t, c, "late")
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}

// muted is a socket that cannot send if it was opened too early.
type muted struct {
	net.PacketConn
	opened time.Time
	broken *atomic.Int64
}

func (m muted) WriteTo(b []byte, to net.Addr) (int, error) {
	if m.opened.UnixNano() < m.broken.Load() {
		return len(b), nil
	}
	return m.PacketConn.WriteTo(b, to)
}

// TestBackoff: a node does not keep bothering a server whose connections are lost at once.
func TestBackoff(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.startNode(expose("web", web))
		for begin := time.Now(); time.Since(begin) < 10*time.Minute; time.Sleep(20 * time.Millisecond) {
			for _, c := range server.server.Inspect().Primary {
				go c.QUIC.CloseWithError(1, "a test")
			}
		}
		if n := w.logged.count("node connected"); n > 60 {
			t.Errorf("%d connections in ten minutes", n)
		}
	})
}
