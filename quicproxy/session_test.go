package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/path"
)

const web = "192.168.1.101:80"

// TestPark: a bounded number of clients wait, for a bounded time, for a node that is away.
func TestPark(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t).stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })

		waiting := w.visit("20000")
		time.Sleep(8 * time.Second)
		w.startNode(expose("web", web))
		exchange(t, waiting, "patience")
		waiting.Close()
	})
}

func (r *running) leasesWait(t *testing.T) *running {
	r.leases.wait(t, 1)
	return r
}

func TestParkEnds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.startNode(expose("web", web)).leasesWait(t).stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })

		begin := time.Now()
		visit := func(i int) net.Conn {
			c, err := w.net.Host(fmt.Sprintf("198.51.%d.1", i)).DialTCP(t.Context(), serverIP+":20000")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until it is accepted
			return c
		}
		for i := range maxParked {
			visit(i)
		}
		w.visitor = w.net.Host("203.0.112.7")
		one := w.visit("20000")
		if err := wantRead(one, "", syscall.ECONNRESET); err != nil || time.Since(begin) > time.Second {
			t.Errorf("one too many: %v after %v", err, time.Since(begin))
		}
		eventually(t, "all others reset", func() bool { return server.server.Status().Counters.Refused == maxParked+1 })
		if waited := time.Since(begin); waited < defaultPark || waited > defaultPark+time.Second {
			t.Errorf("they waited %v", waited)
		}
	})
}

// TestPortSurvives: the port stays its node's through restarts and crashes of both sides.
func TestPortSurvives(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		other := w.startNode(expose("a", web), func(c *NodeConfig) { c.Key = newKey(t) }).leasesWait(t)
		node := w.startNode(expose("web", web)).leasesWait(t)
		if got := node.leases.wait(t, 1)[0].PublicAddress; got != "tcp://"+serverIP+":20001" {
			t.Fatalf("address %q", got)
		}
		exchange(t, w.visit("20001"), "before")
		for range 3 {
			w.crash(server)
			server = w.startServer()
			eventually(t, "both nodes back", func() bool { return len(server.server.Status().Sessions) == 2 })
			exchange(t, w.visit("20001"), "after a crash of the server")
		}
		// The other node is gone for a while; its port is not given away.
		other.stop()
		third := w.startNode(expose("b", web), func(c *NodeConfig) { c.Key = newKey(t) })
		if got := third.leases.wait(t, 1)[0].PublicAddress; got != "tcp://"+serverIP+":20002" {
			t.Errorf("third node got %q", got)
		}
		if got := len(node.leases.leases); got != 1 {
			t.Errorf("%d changes of the address were told, want 1", got)
		}
	})
}

// TestRestart: idle nodes are back within two seconds after the server listens again, however long it was
// away: it wakes those that have not noticed, and the others keep trying. By themselves they would notice
// only after their next keepalive.
func TestRestart(t *testing.T) {
	for _, away := range []time.Duration{0, 3 * time.Second, 20 * time.Second, 2 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer()
				w.startNode(expose("web", web)).leasesWait(t)
				time.Sleep(12 * time.Second)
				w.crash(server)
				time.Sleep(away)
				server = w.startServer()
				begin := time.Now()
				eventually(t, "back", func() bool { return len(server.server.Status().Sessions) == 1 })
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("back after %v", took)
				}
				if away == 0 && !strings.Contains(w.logged.String(), "was restarted") {
					t.Error("the log does not say why")
				}
			})
		})
	}
}

// sameSession reports whether two snapshots are of one connection.
func sameSession(a, b SessionStatus) bool {
	return a.Node == b.Node && a.Instance == b.Instance && a.Since == b.Since && a.Address == b.Address
}

// TestWakeIsNoOrder: a stranger who wakes a node only makes it send a keepalive, now and then.
func TestWakeIsNoOrder(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var socket net.PacketConn
		server := w.startServer(func(c *ServerConfig) { socket = c.PacketConn })
		w.startNode(expose("web", web)).leasesWait(t)
		before := server.server.Status().Sessions[0]
		received := func() uint64 {
			return server.server.Inspect().Primary[0].QUIC.ConnectionStats().PacketsReceived
		}
		quiet := received()
		peer := server.server.Inspect().Primary[0].QUIC.RemoteAddr()
		for range 1000 { // from the server's address: the NAT lets nobody else in
			socket.WriteTo([]byte(path.WakeDatagram), peer)
			time.Sleep(10 * time.Millisecond)
		}
		if sessions := server.server.Status().Sessions; len(sessions) != 1 || !sameSession(sessions[0], before) {
			t.Errorf("sessions %v, before %v", sessions, before)
		}
		if packets := received() - quiet; packets < 10 || packets > 50 {
			t.Errorf("a thousand wakes within ten seconds had %d packets sent", packets)
		}
	})
}

// TestServerComesLater: the node was there first, and logs that once.
func TestServerComesLater(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web))
		time.Sleep(5 * time.Minute)
		w.startServer()
		node.leases.wait(t, 1)
		exchange(t, w.visit("20000"), "hello")
		if n := w.logged.count("level=WARN"); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
	})
}

// TestNameMoves: the server's name points elsewhere after a crash.
func TestNameMoves(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		address := netip.MustParseAddr(serverIP)
		node := w.startNode(expose("web", web), func(c *NodeConfig) {
			c.Address = "tunnel.example:8090"
			c.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
				if host != "tunnel.example" {
					return nil, &net.DNSError{Name: host, IsNotFound: true}
				}
				return []netip.Addr{netip.MustParseAddr("2001:db8::1"), address}, nil // one family does not work
			}
		})
		server := w.startServer()
		node.leases.wait(t, 1)
		w.crash(server)
		address = netip.MustParseAddr("203.0.113.99")
		w.machine = w.net.Host("203.0.113.99")
		w.startServer(func(c *ServerConfig) { c.PublicHost = "203.0.113.99" })
		if got := node.leases.wait(t, 2)[1].PublicAddress; got != "tcp://203.0.113.99:20000" {
			t.Errorf("address %q", got)
		}
	})
}

// TestRebinding: the NAT gives new ports; no relay is lost.
func TestRebinding(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		for range 5 {
			exchange(t, c, "before")
			w.nat.Rebind()
			time.Sleep(DefaultKeepalive + time.Second)
			exchange(t, c, "after")
		}
	})
}

// TestOutage: a relay outlives a cut that is shorter than the idle timeout.
func TestOutage(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		w.machine.Cut()
		time.Sleep(time.Minute)
		w.machine.Restore()
		begin := time.Now()
		exchange(t, c, "after")
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("data flowed again after %v", took)
		}
	})
}

// TestNewestWins: the node's process was killed; its next one takes over at once, long before the server
// notices that the first is dead.
func TestNewestWins(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		first := w.startNode(expose("web", web)).leasesWait(t)
		w.home.Cut()
		first.stop()
		w.home.Restore()
		begin := time.Now()
		w.startNode(expose("web", web)).leasesWait(t)
		exchange(t, w.visit("20000"), "hello")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v", took)
		}
		eventually(t, "the dead connection is forgotten", func() bool { return len(server.server.Status().Sessions) == 1 })
		if leases := server.server.Status().Leases; len(leases) != 1 || !leases[0].HeldUntil.IsZero() {
			t.Errorf("leases %v", leases)
		}
	})
}

// TestTwoProcesses: one key in two processes. The newer has the port, the older keeps its relays and stands
// by, both are told, and the older comes back when the newer ends.
func TestTwoProcesses(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) { writeErr(c, "older"); echo(c) })
		w.serveTCP("192.168.1.101:81", func(c net.Conn) { writeErr(c, "newer"); echo(c) })
		older := w.startNode(expose("web", web)).leasesWait(t)
		old := w.visit("20000")
		old.SetDeadline(time.Time{})
		if err := wantPrefix(old, "older"); err != nil {
			t.Fatal(err)
		}
		newer := w.startNode(expose("web", "192.168.1.101:81")).leasesWait(t)
		time.Sleep(5 * time.Minute) // no throwing each other out
		exchange(t, old, "still relayed")
		if err := wantPrefix(w.visit("20000"), "newer"); err != nil {
			t.Error(err)
		}
		if n := w.logged.count("took over"); n != 1 {
			t.Errorf("the older process was told %d times", n)
		}
		if n := w.logged.count("two processes use the key"); n != 1 {
			t.Errorf("the operator was told %d times", n)
		}
		old.Close()
		eventually(t, "the older retired", func() bool { return len(server.server.Status().Sessions) == 1 })
		time.Sleep(3 * time.Minute)
		if n := w.logged.count("another process with the key of this node is connected"); n == 0 {
			t.Error("the older process does not say why it waits")
		}
		newer.stop()
		eventually(t, "the older is back", func() bool {
			sessions := server.server.Status().Sessions
			return len(sessions) == 1 && sessions[0].Primary && sessions[0].Instance == older.node.Inspect().Instance
		})
		if err := wantPrefix(w.visit("20000"), "older"); err != nil {
			t.Error(err)
		}
	})
}

// TestTwoIdleProcesses: without relays the older connection ends at once, and must not come back at once.
func TestTwoIdleProcesses(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.startNode(expose("web", web)).leasesWait(t)
		newer := w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(10 * time.Minute)
		sessions := server.server.Status().Sessions
		if len(sessions) != 1 || sessions[0].Instance != newer.node.Inspect().Instance || time.Since(sessions[0].Since) < 10*time.Minute {
			t.Errorf("sessions after ten minutes: %+v", sessions)
		}
		if n := w.logged.count("two processes use the key"); n != 1 {
			t.Errorf("the operator was told %d times", n)
		}
	})
}

// TestLeaseFailures: each refusal has its code and words, and ends when its cause does.
func TestLeaseFailures(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		ports, _ := lease.ParsePortRange("20000-20001")
		server := w.startServer(func(c *ServerConfig) { c.Ports = ports; c.MaxServices = 2 })
		first := w.startNode(expose("a", web), expose("b", web), expose("c", web))
		first.leases.wait(t, 2)
		eventually(t, "too many", func() bool { return w.logged.count("level=WARN msg=\"no public address") == 1 })

		full := w.startNode(expose("web", web), func(c *NodeConfig) { c.Key = newKey(t) })
		eventually(t, "full", func() bool { return w.logged.count("larger range") == 1 })
		outside := w.startNode(func(c *NodeConfig) {
			c.Key = newKey(t)
			c.Services = []Service{{Name: "web", Upstream: web, PublicPort: 80}}
		})
		eventually(t, "out of range", func() bool { return w.logged.count("choose a public port") == 1 })
		outside.stop()

		// A port becomes free: the first to request it gets it, one of the two that wait or the one that lost
		// it.
		control := first.node.Inspect().Conn.Control
		if err := control.Request(t.Context(), framing.OpRelease, &framing.Release{Service: "b"}, framing.OpReleased, new(framing.Released)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "somebody got the port", func() bool { return len(server.server.Status().Leases) == 2 })
		first.stop()
		eventually(t, "its leases given up", func() bool {
			left := 0
			for _, l := range server.server.Status().Leases {
				if l.Node == w.nodeKey.ID() && server.server.Forget(t.Context(), l.Key) != nil {
					left++
				}
			}
			return left == 0
		})
		full.leases.wait(t, 1)
	})
}

// TestWantedPort: a free one is given, a taken one is replaced by another, and that is reported.
func TestWantedPort(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		wants := func(c *NodeConfig) {
			c.Key = newKey(t)
			c.Services = []Service{{Name: "ssh", Upstream: web, PublicPort: 20022}}
		}
		if got := w.startNode(wants).leases.wait(t, 1)[0].PublicAddress; got != "tcp://"+serverIP+":20022" {
			t.Errorf("first: %q", got)
		}
		if got := w.startNode(wants).leases.wait(t, 1)[0].PublicAddress; got != "tcp://"+serverIP+":20000" {
			t.Errorf("second: %q", got)
		}
		if w.logged.count("wanted public port is taken") != 1 {
			t.Error("nothing was said about the taken port")
		}
	})
}

// TestLeaseEnded: a program that keeps listeners for its next process is told of the end of a lease, not of
// the end of this process.
func TestLeaseEnded(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var ended []uint16
		server := w.startServer(func(c *ServerConfig) {
			c.LeaseEnded = func(port uint16) { mu.Lock(); ended = append(ended, port); mu.Unlock() }
		})
		node := w.startNode(expose("web", web), expose("ssh", web))
		node.leases.wait(t, 2)
		node.stop()
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		eventually(t, "given up", func() bool { return server.server.Forget(t.Context(), key) == nil })
		server.stop()
		mu.Lock()
		defer mu.Unlock()
		if len(ended) != 1 || ended[0] != 20000 {
			t.Errorf("the leases of %v ended, want that of 20000", ended)
		}
	})
}

// TestDrain: running relays may finish, new clients are not accepted, and both ends say why.
func TestDrain(t *testing.T) {
	for _, side := range []string{"server", "node"} {
		t.Run(side, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(func(c *ServerConfig) { c.Drain = 10 * time.Second })
				w.serveTCP(web, echo)
				node := w.startNode(expose("web", web), func(c *NodeConfig) { c.Drain = 10 * time.Second }).leasesWait(t)
				finishes, stays := w.visit("20000"), w.visit("20000")
				exchange(t, finishes, "a")
				exchange(t, stays, "b")
				stopping := map[string]*running{"server": server, "node": node}[side]
				stopping.cancel()
				time.Sleep(5 * time.Second)
				exchange(t, finishes, "finishes in time")
				closeWriteErr(finishes)
				if err := wantRead(finishes, "", nil); err != nil {
					t.Error(err)
				}
				begin := time.Now()
				if err := wantRead(stays, "", syscall.ECONNRESET); err != nil {
					t.Error(err)
				}
				if err := stopping.stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took < 4*time.Second || took > 6*time.Second {
					t.Errorf("the rest was reset after %v, want 5 s", took)
				}
				if side == "server" {
					eventually(t, "the node knows", func() bool { return w.logged.count("was stopped") > 0 })
				}
			})
		})
	}
}

// TestDrainIsQuick: without relays there is no wait.
func TestDrainIsQuick(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		node := w.startNode(expose("web", web)).leasesWait(t)
		begin := time.Now()
		node.stop()
		eventually(t, "the node left", func() bool { return len(server.server.Status().Sessions) == 0 })
		server.stop()
		if took := time.Since(begin); took > 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// TestWrongServer: another server answers at the address.
func TestWrongServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.AnswerStrangers = true })
		node := w.startNode(expose("web", web), func(c *NodeConfig) { c.Server = newKey(t).ID() })
		eventually(t, "told", func() bool { return w.logged.count("level=WARN") > 0 })
		time.Sleep(time.Minute)
		if len(node.leases.leases) > 0 {
			t.Error("a lease from the wrong server")
		}
		if !strings.Contains(w.logged.String(), w.key.ID().String()) {
			t.Error("the log does not name the server that answered")
		}
	})
}

func TestWrongNetwork(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.NetID = 7 })
		w.startNode(expose("web", web))
		eventually(t, "told", func() bool { return w.logged.count("network") > 0 })
	})
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	key := newKey(t)
	for name, config := range map[string]ServerConfig{
		"no key":    {PacketConn: socket},
		"no socket": {Key: key},
	} {
		if _, err := NewServer(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := NodeConfig{Key: key, Server: key.ID(), Address: "localhost:8090"}
	if _, err := NewNode(good); err != nil {
		t.Errorf("good node: %v", err)
	}
	for name, change := range map[string]func(*NodeConfig){
		"no key":    func(c *NodeConfig) { c.Key = certs.PrivateKey{} },
		"no server": func(c *NodeConfig) { c.Server = certs.NodeID{} },
		"no port":   func(c *NodeConfig) { c.Address = "localhost" },
		"network":   func(c *NodeConfig) { c.Network = "tcp" },
		"upstream":  func(c *NodeConfig) { c.Services = []Service{{Name: "web", Upstream: "nothing"}} },
		"bad name":  func(c *NodeConfig) { c.Services = []Service{{Name: "W", Upstream: web}} },
		"double name": func(c *NodeConfig) {
			c.Services = []Service{{Name: "w", Upstream: web}, {Name: "w", Upstream: web}}
		},
	} {
		config := good
		change(&config)
		if _, err := NewNode(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFailureError: programs decide by the code.
func TestFailureError(t *testing.T) {
	t.Parallel()
	err := conn.Explain(&quicproxy.FailureError{Code: framing.ErrorRangeFull, Text: "full", Advice: "wait"}, "the server")
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	if !ok || failure.Code != framing.ErrorRangeFull || failure.Hint() != "wait" {
		t.Errorf("%#v", err)
	}
}
