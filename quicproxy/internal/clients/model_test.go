package clients

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestClientsModel: whatever happens, the counts match the open connections, no limit is exceeded, and nobody
// loses a place to somebody who gets none.
func TestClientsModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			clients := New(40, 15, 8)
			here := make(map[*Place]bool)
			for step := range 1000 {
				if random.IntN(3) > 0 {
					from := netip.AddrFrom16([16]byte{32, 5: byte(random.IntN(2)), 6: byte(random.IntN(3)), 7: byte(random.IntN(3))})
					if random.IntN(2) == 0 {
						from = netip.AddrFrom4([4]byte{2: byte(random.IntN(2)), 3: byte(random.IntN(4))})
					}
					service := Service{Node: fmt.Sprint(random.IntN(3)), Name: fmt.Sprint(random.IntN(2))}
					evicted := 0
					c, err := clients.Admit(service, from, func() { evicted++ })
					if err == nil {
						here[c] = true
					}
				}
				before := len(here)
				for c := range here {
					if c.index < 0 {
						delete(here, c)
					}
				}
				if before-len(here) > 3 {
					t.Fatalf("%d made room for one", before-len(here))
				}
				for c := range here {
					switch {
					case random.IntN(30) == 0:
						c.Leave()
						delete(here, c)
					case random.IntN(3) == 0:
						c.Active()
					}
				}
				time.Sleep(time.Duration(random.IntN(10)) * time.Second)
				if step%10 == 0 {
					checkCounts(t, clients, here)
				}
			}
			for c := range here {
				c.Leave()
			}
			clients.forgetLocked(func(*origin) bool { return true })
			clients.forgetLocked(func(*origin) bool { return true })
			clients.forgetLocked(func(*origin) bool { return true })
			if n := clients.Open() + len(clients.services) + len(clients.nodes) + len(clients.pairs) + len(clients.origins); n != 0 {
				t.Errorf("something is left: %+v", clients)
			}
		})
	}
}

func checkCounts(t *testing.T, p *Places, here map[*Place]bool) {
	t.Helper()
	services, nodes, pairs, origins := make(map[Service]int), make(map[string]int), make(map[pair]int), make(map[*origin]int)
	for c := range here {
		services[c.service]++
		nodes[c.service.Node]++
		for o := c.from; o != nil; o = o.parent {
			pairs[pair{o, c.service}]++
			origins[o]++
			if p.origins[o.prefix] != o {
				t.Fatalf("%v is twice", o.prefix)
			}
		}
		if p.open[c.index] != c {
			t.Fatal("a client is not in its place")
		}
	}
	for s, n := range services {
		if n != p.services[s] || n > p.perService || nodes[s.Node] != p.nodes[s.Node] || nodes[s.Node] > p.perNode {
			t.Fatalf("%v: %d, counted %d", s, n, p.services[s])
		}
	}
	for use, n := range pairs {
		if n != p.pairs[use] || n > use.from.weight*p.perAddress {
			t.Fatalf("%v: %d, counted %d", use, n, p.pairs[use])
		}
	}
	for o, n := range origins {
		if n != o.open || n > o.weight*p.perAddressInAll || n > p.all/2 {
			t.Fatalf("%v: %d, counted %d", o.prefix, n, o.open)
		}
	}
	if len(here) != len(p.open) || len(here) > p.all {
		t.Fatalf("%d places are taken, counted %d", len(here), len(p.open))
	}
}
