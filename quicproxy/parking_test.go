package quicproxy_test

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy/internal/relay"
)

// TestParkingShares: one address, or one network, cannot take all places of clients that wait for a node that
// is away.
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

// TestLargestParkedMakesRoom: when several addresses take all places for waiting clients, they make room for
// others.
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

// eventuallyReal is eventually outside virtual time.
func eventuallyReal(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %s", what)
		}
	}
}

// TestPlaceOfParkedClient: the place at the server is freed, too, and a client that waited is served when its
// node is back, with what it sent meanwhile.
func TestPlaceOfParkedClient(t *testing.T) {
	if !relay.TellsLeft {
		t.Skip("it cannot be told on this system")
	}
	tunnel := newTunnel(t, Service{Name: "web", Upstream: upstream(t, echo)})
	tunnel.stopNode()
	eventuallyReal(t, "the node gone", func() bool { return len(tunnel.server.Status().Sessions) == 0 })
	leaves, stays := tunnel.dial("web"), tunnel.dial("web")
	open := func(want int) func() bool {
		return func() bool { return tunnel.server.Inspect().Clients.Open() == want }
	}
	eventuallyReal(t, "both wait", open(2))
	leaves.Close()
	eventuallyReal(t, "one left", open(1))
	stays.Write([]byte("patience"))
	tunnel.startNode()
	exchange(t, stays, "patience") // what comes back is what was said before
}
