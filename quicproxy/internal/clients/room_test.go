package clients

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// TestNetworkMakesRoom: where somebody greedy has the addresses of a whole network, his connections make
// room, and those of a browser, which has more than one from a single address, do not. A neighbour in the
// same network is not greedy.
func TestNetworkMakesRoom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, greedy, browser, neighbour string
	}{
		{"a /64 each of a /48", "2001:db8:7:%x::1", "2001:db8:8::1", "2001:db8:7:ffff::1"},
		{"a /64 each of a /56", "2001:db8:7:70%02x::1", "2001:db8:8::1", "2001:db8:7:7100::1"},
		{"an address each of a /24", "192.0.2.%d", "198.51.100.7", ""}, // his neighbours look like him
		{"a /64 each beside IPv4", "2001:db8:7:%x::1", "192.0.2.7", "2001:db8:7:ffff::1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, New(10_000, 200, 100))
				web := Service{Node: "A", Name: "web"}
				c.want(web, test.browser, 6, 6, nil)
				greedy := make(map[netip.Addr]bool)
				attack := func() {
					time.Sleep(time.Second)
					for i := range 200 {
						from := fmt.Sprintf(test.greedy, i)
						greedy[netip.MustParseAddr(from)] = true
						c.add(web, from, 1)
					}
				}
				attack()
				c.want(web, test.browser, 6, 6, nil)
				attack()
				if test.neighbour != "" {
					c.want(web, test.neighbour, 2, 2, nil)
				}
				for from, n := range c.evicted {
					if !greedy[from] {
						t.Errorf("%d connections of %v made room", n, from)
					}
				}
				if n := len(c.evicted); n == 0 {
					t.Error("nobody made room")
				}
			})
		})
	}
}

// TestLargestOfNetwork: in the largest network the largest address goes first, not its neighbours who were
// idle for longer.
func TestLargestOfNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(10_000, 100, 100))
		web := Service{Node: "A", Name: "web"}
		for i := range 20 {
			c.want(web, fmt.Sprintf("2001:db8:7:%x::1", i), 2, 2, nil)
		}
		time.Sleep(time.Second)
		c.want(web, "2001:db8:7:ff00::1", 60, 60, nil)
		for i := range 10 {
			c.want(web, fmt.Sprintf("192.0.2.%d", i), 1, 1, nil)
			c.want(web, fmt.Sprintf("2001:db8:7:%x::1", 0x100*(i+1)), 1, 1, nil)
		}
		if n := c.evicted[netip.MustParseAddr("2001:db8:7:ff00::1")]; n != 20 || len(c.evicted) != 1 {
			t.Errorf("evicted: %v", c.evicted)
		}
	})
}

// TestNetworksOfClients: a network has more than an address, but never all.
func TestNetworksOfClients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, address              string
		perAddress                 int
		atService, atSecond, inAll int // how many of 1000 have a place
	}{
		{"a /64", "2001:db8:7:7::%x", 20, 20, 20, 40},
		{"a /56", "2001:db8:7:70%02x::1", 20, 40, 40, 80},
		{"a /48", "2001:db8:7:%x00::1", 20, 80, 80, 160},
		{"a /24", "192.0.2.%d", 20, 80, 80, 160},
		{"half of all for a /48", "2001:db8:7:%x00::1", 200, 400, 400, 500},
		{"half of all for a /24", "192.0.2.%d", 200, 400, 400, 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, New(1000, 400, test.perAddress))
				a, b := Service{Node: "A", Name: "web"}, Service{Node: "B", Name: "web"}
				c.fromAll(a, test.address)
				if got := c.clients.services[a]; got != test.atService {
					t.Errorf("%d places at the first service, want %d", got, test.atService)
				}
				c.fromAll(b, test.address)
				if got := c.clients.services[b]; got > test.atSecond || got == 0 || c.clients.Open() != test.inAll {
					t.Errorf("%d places at the second service, %d in all, want %d", got, c.clients.Open(), test.inAll)
				}
			})
		})
	}
}

// fromAll has some connections come from each of 256 addresses.
func (c *crowd) fromAll(service Service, address string) {
	for i := range 256 {
		c.add(service, fmt.Sprintf(address, i), 5)
	}
}

// TestNobodyGoesInVain: a refused client does not evict anyone. Two limits are reached, and at one of them
// nobody makes room.
func TestNobodyGoesInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(40, 8, 8))
		c.want(Service{Node: "B", Name: "web"}, "10.0.0.1", 5, 5, nil)
		c.want(Service{Node: "C", Name: "web"}, "10.0.0.1", 5, 5, nil) // a quarter of all
		time.Sleep(idleLong)
		web := Service{Node: "A", Name: "web"}
		for i := range 8 {
			c.want(web, fmt.Sprintf("10.1.%d.1", i), 1, 1, nil)
		}
		// One of its own is idle for long, but none of the service.
		c.want(web, "10.0.0.1", 1, 0, ErrServiceFull)
		if n := c.clients.Open(); len(c.evicted) != 0 || n != 18 {
			t.Errorf("%d are left, evicted in vain: %v", n, c.evicted)
		}
		time.Sleep(idleLong)
		c.want(web, "10.0.0.1", 1, 1, nil)
		if n := c.clients.Open(); n != 17 {
			t.Errorf("%d are left after two made room for one", n)
		}
	})
}

// TestSearchShare: one network that connects endlessly does not use up the search for room.
func TestSearchShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = 512
		clients := New(2*all, all, 128)
		clients.search.SetBurst(64 * all)
		web := Service{Node: "A", Name: "web"}
		attack := func(n int) {
			for i := range n {
				clients.Admit(web, netip.MustParseAddr(fmt.Sprintf("2001:db8:7:%x::1", i)), func() {})
			}
		}
		attack(3 * all)
		for i := range 20 {
			if _, err := clients.Admit(web, netip.MustParseAddr(fmt.Sprintf("192.0.%d.1", i)), func() {}); err != nil {
				t.Fatalf("a browser is refused: %v", err)
			}
		}
	})
}

// BenchmarkSearch is the search for a client to evict, per place visited.
func BenchmarkSearch(b *testing.B) {
	for _, from := range []string{"10.0.%d.7", "2001:db8:%x:1::1"} {
		clients := New(1<<20, 4096, 1024)
		web := Service{Node: "A", Name: "web"}
		for i := range 4096 {
			if _, err := clients.Admit(web, netip.MustParseAddr(fmt.Sprintf(from, i%256)), func() {}); err != nil {
				b.Fatal(err)
			}
		}
		newcomer := clients.originLocked(netip.MustParseAddr("192.0.2.1"), time.Now())
		for _, limit := range []*rate.Limiter{newcomer.largest().search, clients.search} {
			limit.SetLimit(rate.Inf)
		}
		b.Run(from, func(b *testing.B) {
			for range b.N/4096 + 1 {
				if clients.victimLocked(newcomer, func(c *Place) bool { return c.service == web }, time.Now()) == nil {
					b.Fatal("nobody makes room")
				}
			}
		})
	}
}
