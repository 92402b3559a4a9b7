package quicproxy

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy/internal/relay"
)

// TestParkingShares: one address, or one network, cannot take all places of those who wait for a node that is away.
func TestParkingShares(t *testing.T) {
	for name, greedy := range map[string]string{
		"an address": "198.51.100.9", "a /24": "198.51.101.%d", "a /48": "2001:db8:7:%x00::9",
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.visitor = w.net.Host("203.0.112.7")
				server := w.startServer()
				w.serveTCP(web, echo)
				w.startNode(expose("web", web)).leasesWait(t).stop()
				eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })

				host := w.net.Host("198.51.100.9")
				for i := range 2 * maxParked {
					if greedy != "198.51.100.9" && i < 250 {
						host = w.net.Host(fmt.Sprintf(greedy, i))
					}
					if _, err := host.DialTCP(t.Context(), serverIP+":20000"); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				var waiting []net.Conn
				for range 6 {
					waiting = append(waiting, w.visit("20000"))
					synctest.Wait()
				}
				time.Sleep(time.Second)
				w.startNode(expose("web", web))
				for _, c := range waiting {
					exchange(t, c, "patience")
				}
			})
		})
	}
}

// TestLargestParkedMakesRoom: when several addresses take all places of those who wait, they make room for others.
func TestLargestParkedMakesRoom(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t).stop()
		eventually(t, "the node gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		for i := range 4 {
			host := w.net.Host(fmt.Sprintf("203.0.%d.9", i))
			for range maxParked / 4 {
				if _, err := host.DialTCP(t.Context(), serverIP+":20000"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		c := w.visit("20000")
		time.Sleep(time.Second)
		w.startNode(expose("web", web))
		exchange(t, c, "patience")
	})
}

// TestParkedClientLeaves: who waits for a node that is away and leaves gives the place back at once; who asked something
// and waits for the answer, with the direction closed or not, keeps it and is served.
func TestParkedClientLeaves(t *testing.T) {
	if !relay.TellsLeft {
		t.Skip("it cannot be told on this system")
	}
	for _, test := range []struct {
		name  string
		do    func(c *net.TCPConn)
		stays bool
		linux bool // only there
	}{
		{"says nothing", func(*net.TCPConn) {}, true, false},
		{"closes", func(c *net.TCPConn) { c.Close() }, false, false},
		{"resets", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, false, false},
		{"asks", func(c *net.TCPConn) { c.Write([]byte("x")) }, true, false},
		{"asks and closes a direction", func(c *net.TCPConn) { c.Write([]byte("x")); c.CloseWrite() }, true, false},
		{"asks and resets", func(c *net.TCPConn) { c.Write([]byte("x")); c.SetLinger(0); c.Close() }, false, true},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/late=%v", test.name, late), func(t *testing.T) {
				t.Parallel()
				if test.linux && runtime.GOOS != "linux" {
					t.Skip("it cannot be told on this system")
				}
				dialed, accepted := tcpPair(t)
				p := &publicListener{}
				client := &publicClient{Conn: accepted}
				var err error
				var waiting sync.WaitGroup
				if !late {
					test.do(dialed)
				}
				ended := make(chan struct{})
				waiting.Go(func() {
					_, err = p.route(client, time.Now().Add(time.Minute), nil)
					close(ended)
				})
				eventuallyReal(t, "it waits", func() bool { return client.wait.Load() != nil || isClosed(ended) })
				if late {
					test.do(dialed)
				}
				if test.stays {
					for range 100 {
						p.change(func() {}) // news, but no connection
					}
					if isClosed(ended) {
						t.Errorf("it does not wait: %v", err)
					}
					p.change(func() { p.closed = true })
				}
				waiting.Wait()
				if errors.Is(err, errClientLeft) == test.stays || test.stays != errors.Is(err, errPortClosed) {
					t.Errorf("it ended with %v", err)
				}
				if p.parking.places != nil {
					t.Error("its place is taken")
				}
			})
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// eventuallyReal is eventually outside of virtual time.
func eventuallyReal(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %s", what)
		}
	}
}

// tcpPair is a connection over loopback.
func tcpPair(t *testing.T) (dialed, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close() })
	return d.(*net.TCPConn), a.(*net.TCPConn)
}

// TestPlaceOfParkedClient: the place at the server goes back, too, and a client that waited is served when its node is
// back, with what it said meanwhile.
func TestPlaceOfParkedClient(t *testing.T) {
	if !relay.TellsLeft {
		t.Skip("it cannot be told on this system")
	}
	tunnel := newTunnel(t, Service{Name: "web", Upstream: upstream(t, echo)})
	tunnel.stopNode()
	eventuallyReal(t, "the node gone", func() bool { return len(tunnel.server.Status().Sessions) == 0 })
	leaves, stays := tunnel.dial("web"), tunnel.dial("web")
	open := func(want int) func() bool {
		return func() bool { return tunnel.server.clients.Open() == want }
	}
	eventuallyReal(t, "both wait", open(2))
	leaves.Close()
	eventuallyReal(t, "one left", open(1))
	stays.Write([]byte("patience"))
	node, err := NewNode(tunnel.nodeCfg)
	if err != nil {
		t.Fatal(err)
	}
	start(t, &running{node: node}, node.Run)
	exchange(t, stays, "patience") // what comes back is what was said before
}
