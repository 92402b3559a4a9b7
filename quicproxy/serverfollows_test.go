package quicproxy_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/lease"
	"apquic/quicproxy"
)

// follow changes the settings of a running server.
func (r *running) follow(t *testing.T, change func(*ServerConfig)) {
	t.Helper()
	var config ServerConfig
	change(&config)
	if err := r.server.Follow(config); err != nil {
		t.Fatal(err)
	}
}

// refusedVisit reports whether a visitor of a port is reset.
func (w *world) refusedVisit(port string) bool {
	w.t.Helper()
	c := w.visit(port)
	defer c.Close()
	_, err := io.ReadFull(c, make([]byte, 2))
	return err != nil
}

// TestServerFollows: rules for visitors and limits change while a thousand relays run, all of which carry every byte;
// new clients find the new ones.
func TestServerFollows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		relays := testrace.Whole(1000, 100)
		var transferring sync.WaitGroup
		for i := range relays {
			c := w.visit("20000")
			transferring.Go(func() {
				if _, err := transfer(c, uint64(i), 16<<10); err != nil {
					t.Errorf("relay %d: %v", i, err)
				}
			})
		}
		time.Sleep(time.Second)
		visitor := netip.MustParsePrefix(visitorIP + "/32")
		for i, change := range []struct {
			what    string
			change  func(*ServerConfig)
			refused bool
		}{
			{"denied", func(c *ServerConfig) { c.Visitors.Deny = []netip.Prefix{visitor} }, true},
			{"nothing", func(*ServerConfig) {}, false},
			{"others are allowed", func(c *ServerConfig) { c.Visitors.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, true},
			{"allowed", func(c *ServerConfig) { c.Visitors.Allow = []netip.Prefix{visitor} }, false},
			{"a country", func(c *ServerConfig) {
				c.Visitors.DenyCountries, c.Country = []string{"XX"}, func(netip.Addr) string { return "XX" }
			}, true},
			{"no more places", func(c *ServerConfig) { c.MaxClients = 10 }, true},
			{"no more for an address", func(c *ServerConfig) { c.MaxClientsPerAddress = relays / 10 }, true},
			{"all is as before", func(*ServerConfig) {}, false},
		} {
			server.follow(t, change.change)
			if refused := w.refusedVisit("20000"); refused != change.refused {
				t.Errorf("%d, %s: refused %v", i, change.what, refused)
			}
			time.Sleep(4 * time.Second)
			if n := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Clients; n < relays*9/10 && i < 4 {
				t.Errorf("%s: %d relays are left", change.what, n)
			}
		}
		transferring.Wait()
		for what, change := range map[string]func(*ServerConfig){
			"network": func(c *ServerConfig) { c.Visitors.Rate = -1 },
			"group":   func(c *ServerConfig) { c.Groups = map[string][]string{"The Photos": nil} },
		} {
			config := ServerConfig{Visitors: quicproxy.Visitors{Deny: []netip.Prefix{visitor}}}
			change(&config)
			if err := server.server.Follow(config); err == nil || w.refusedVisit("20000") {
				t.Errorf("a mistake in %s: %v", what, err)
			}
		}
	})
}

// TestServerFollowsLimits: how many services a node may have, and how long a port is held, change while it is connected.
func TestServerFollowsLimits(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer(func(c *ServerConfig) { c.MaxServices = 1 })
		node := w.startNode(expose("a", tagA), expose("b", tagA))
		node.leases.wait(t, 1)
		time.Sleep(10 * time.Second)
		if got := node.address(t, "b"); !strings.Contains(got, "may not have more than 1") {
			t.Errorf("b: %s", got)
		}
		server.follow(t, func(c *ServerConfig) { c.MaxServices, c.LeaseTime = 2, time.Minute })
		time.Sleep(5 * time.Minute)
		node.wantAddress(t, "b", ":20001")
		node.stop()
		time.Sleep(2 * time.Minute)
		if left := server.server.Status().Leases; len(left) != 0 {
			t.Errorf("after the new hold time there are %v", left)
		}
	})
}

// TestServerFollowsGroups: a node that a group names comes in by itself, and one that it no longer names gets no more
// clients, while those that it has stay.
func TestServerFollowsGroups(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		a, b := homes[0], homes[1]
		server := w.startServer(allow(a))
		for _, h := range homes {
			h.startService()
			h.start()
		}
		a.node.leases.wait(t, 1)
		first := w.visit("20000")
		name := make([]byte, 2)
		if _, err := io.ReadFull(first, name); err != nil || string(name) != "a\n" {
			t.Fatalf("%q, %v", name, err)
		}
		server.follow(t, allow(a, b))
		b.node.leases.wait(t, 1) // it asks again
		server.follow(t, allow(b))
		for range 5 {
			c := w.visit("20000")
			if _, err := io.ReadFull(c, name); err != nil || string(name) != "b\n" {
				t.Errorf("a new client is at %q, %v", name, err)
			}
		}
		exchange(t, first, "still here")
		server.follow(t, allow(a, b))
		a.node.stop()
		a.start()
		a.node.leases.wait(t, 1)
	})
}

// TestServerFollowsAtOnce: changes while nodes come and go, and clients with them.
func TestServerFollowsAtOnce(t *testing.T) {
	groupWorld(t, 3, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...))
		for _, h := range homes {
			h.startService()
			h.start()
			h.node.leases.wait(t, 1)
		}
		var working sync.WaitGroup
		for i := range 3 {
			working.Go(func() {
				for k := range 10 {
					server.follow(t, allow(homes[:1+(i+k)%3]...))
					time.Sleep(time.Duration(100*(i+1)) * time.Millisecond)
				}
			})
			working.Go(func() {
				for range 5 {
					c := w.visit("20000")
					io.ReadFull(c, make([]byte, 1))
					c.Close()
					time.Sleep(300 * time.Millisecond)
				}
			})
		}
		working.Go(func() {
			for range 3 {
				homes[2].node.stop()
				homes[2].start()
				time.Sleep(time.Second)
			}
		})
		working.Wait()
		server.follow(t, allow(homes...))
		for i, h := range homes {
			if err := h.node.stop(); err != nil {
				t.Error(fmt.Sprint(i), err)
			}
		}
		server.stop()
		server.server.Inspect().Leftovers(false, func(what string, n int) {
			if n != 0 {
				t.Errorf("left: %d %s", n, what)
			}
		})
	})
}
