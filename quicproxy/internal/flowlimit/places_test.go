package flowlimit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy/internal/clients"
)

var game, dns, web = clients.Service{Node: "home", Name: "game"}, clients.Service{Node: "home", Name: "dns"}, clients.Service{Node: "other", Name: "web"}

// address is the nth of many, each in a network of its own.
func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1})
}

// crowd counts the flows that had to make room.
type crowd struct {
	*Places
	ended map[string]int
}

func newCrowd(limits Limits) *crowd { return &crowd{New(limits), make(map[string]int)} }

func (c *crowd) enter(name string, service clients.Service, from netip.Addr, answered bool) *Place {
	p := c.Enter(service, from, func() { c.ended[name]++ })
	if answered {
		p.Answered()
	}
	return p
}

// TestRoom: at each limit somebody of those that share it makes room.
func TestRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := func(limits Limits, others ...clients.Service) *crowd {
			c := newCrowd(limits)
			for i := range 10 {
				c.enter(fmt.Sprint("answered ", i), others[i%len(others)], address(i), true)
				time.Sleep(time.Second)
			}
			return c
		}
		for name, test := range map[string]struct {
			crowd *crowd
			enter clients.Service
			from  netip.Addr
			want  string
		}{
			"service":                       {full(Limits{100, 100, 10, 10}, game), game, address(99), "answered 0"},
			"node":                          {full(Limits{100, 10, 100, 10}, game), dns, address(99), "answered 0"},
			"all":                           {full(Limits{10, 100, 100, 10}, game), web, address(99), "answered 0"},
			"the largest service":           {full(Limits{10, 100, 100, 10}, game, dns, dns), game, address(99), "answered 1"},
			"the largest service of a node": {full(Limits{100, 10, 100, 10}, game, dns, dns), game, address(99), "answered 1"},
			"address":                       {full(Limits{100, 100, 100, 1}, game), game, address(3), "answered 3"},
			"address at another service":    {full(Limits{100, 100, 100, 1}, game), dns, address(3), ""},
			"no limit":                      {full(Limits{100, 100, 100, 100}, game), game, address(3), ""},
			"an address without limits":     {full(Limits{100, 100, 100, 1}, game), game, netip.Addr{}, ""},
			"a service of one flow":         {full(Limits{10, 100, 1, 10}, game), game, address(99), "answered 9"},
		} {
			before := test.crowd.Open()
			clear(test.crowd.ended)
			test.crowd.enter("new", test.enter, test.from, false)
			switch got := test.crowd.ended; {
			case test.want == "" && (len(got) > 0 || test.crowd.Open() != before+1), test.want != "" && (got[test.want] != 1 || len(got) != 1 || test.crowd.Open() != before):
				t.Errorf("%s: %v made room, want %q; %d flows of %d", name, got, test.want, test.crowd.Open(), before)
			}
		}
	})
}

// TestNetwork: a network may have more than an address, by its weight, and makes room itself.
func TestNetwork(t *testing.T) {
	t.Parallel()
	c := newCrowd(Limits{100, 100, 100, 2})
	c.enter("neighbour", game, address(1), false)
	for i := range 20 {
		c.enter("network", game, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), true)
		c.enter("house", game, netip.AddrFrom16([16]byte{0x20, 1, 6: byte(i), 15: byte(i)}), true)
	}
	if c.ended["network"] != 20-8 || c.ended["house"] != 20-8 || c.ended["neighbour"] != 0 || c.Open() != 17 {
		t.Errorf("%v made room, %d flows", c.ended, c.Open())
	}
}

// TestForged: flows that were not answered make room before all others when they are more than a quarter, the
// oldest first, of the service that has the most of them; otherwise the longest idle one does.
func TestForged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{10, 10, 10, 10})
		friend := c.enter("friend", game, address(1), true)
		c.enter("quiet", game, address(2), true)
		time.Sleep(time.Hour)
		forged := func(from, to int, service clients.Service) {
			for i := from; i < to; i++ {
				c.enter(fmt.Sprint(service.Name, " ", i), service, address(100+i), false)
			}
		}
		forged(0, 8, dns)
		forged(0, 5, game)
		if len(c.ended) != 5 || c.ended["dns 0"]+c.ended["dns 3"] != 2 || c.ended["game 0"]+c.ended["dns 4"] != 1 {
			t.Errorf("%v made room", c.ended)
		}
		clear(c.ended)
		forged(10, 1000, web)
		if c.ended["friend"]+c.ended["quiet"] != 0 {
			t.Errorf("those that were answered made room")
		}
		for i := range 10 {
			friend.Active()
			c.enter(fmt.Sprint("real ", i), game, address(i), true)
		}
		friend.Active()
		if c.ended["friend"] != 0 || c.ended["quiet"] != 1 || c.all.flows != [kinds]int{2, 8} {
			t.Errorf("%v made room, and there are %d", c.ended, c.all.flows)
		}
		clear(c.ended)
		forged(1000, 1002, dns) // a quarter is theirs
		if c.ended["friend"] != 0 || c.ended["real 3"] != 1 || c.ended["dns 7"] != 1 || c.all.flows != [kinds]int{3, 7} {
			t.Errorf("%v made room, and there are %d", c.ended, c.all.flows)
		}
	})
}

// TestLeft: a flow that was not answered may be idle for a third of the time.
func TestLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Limits{1, 1, 1, 1}).Enter(game, address(1), func() { t.Error("it made room") })
		time.Sleep(5 * time.Second)
		if left := p.Left(time.Minute); left != 15*time.Second {
			t.Errorf("%v are left", left)
		}
		p.Active()
		p.Answered()
		time.Sleep(5 * time.Second)
		if left := p.Left(time.Minute); left != 55*time.Second {
			t.Errorf("%v are left", left)
		}
		p.Leave()
		p.Leave()
		p.Answered()
	})
}

// TestModel: whatever happens, the limits hold, groups and queues agree, and nothing is left at the end.
func TestModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	limits := Limits{30, 20, 12, 4}
	p := New(limits)
	open := make(map[*Place]bool)
	services := []clients.Service{game, dns, web, {Node: "other", Name: "game"}, {Node: "third", Name: "x"}}
	for range 5000 {
		switch existing := keys(open); {
		case len(existing) > 0 && r.IntN(3) == 0:
			c := existing[r.IntN(len(existing))]
			c.Leave()
			delete(open, c)
		case len(existing) > 0 && r.IntN(2) == 0:
			c := existing[r.IntN(len(existing))]
			c.Active()
			c.Answered()
		default:
			var c *Place
			c = p.Enter(services[r.IntN(len(services))], netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(9))}), func() { delete(open, c) })
			open[c] = true
		}
		check(t, p, open, limits)
	}
	for c := range open {
		c.Leave()
	}
	if len(p.nodes)+len(p.services)+len(p.origins)+p.Open()+p.all.parts[0].Len()+p.all.parts[1].Len() != 0 {
		t.Errorf("left: %d nodes, %d services, %d origins, %d flows", len(p.nodes), len(p.services), len(p.origins), p.Open())
	}
}

func keys(open map[*Place]bool) (all []*Place) {
	for c := range open {
		all = append(all, c)
	}
	return all
}

func check(t *testing.T, p *Places, open map[*Place]bool, limits Limits) {
	t.Helper()
	if p.Open() != len(open) || len(open) > limits.All {
		t.Fatalf("%d flows, %d open", p.Open(), len(open))
	}
	for service, g := range p.services {
		if g.flows != [kinds]int{g.queues[0].Len(), g.queues[1].Len()} || g.len() == 0 || g.len() > limits.Service {
			t.Fatalf("%v: %d flows, %d and %d in queues", service, g.flows, g.queues[0].Len(), g.queues[1].Len())
		}
	}
	for name, g := range p.nodes {
		for k := range kinds {
			flows := 0
			for i, part := range g.parts[k].groups {
				flows += part.flows[k]
				if part.index[k] != i || g.parts[k].Less(i, 0) {
					t.Fatalf("%s: the heap is none", name)
				}
			}
			if flows != g.flows[k] {
				t.Fatalf("%s: %d flows, %d of parts", name, g.flows, flows)
			}
		}
		if g.len() == 0 || g.len() > limits.Node {
			t.Fatalf("%s: %d flows", name, g.flows)
		}
	}
	for o, g := range p.origins {
		if g.len() == 0 || g.len() > 4*limits.Address || p.services[o.service.service] != o.service {
			t.Fatalf("%v has %d flows", o.from, g.flows)
		}
	}
}

// TestConcurrentPlaces: goroutines that enter, are active, are answered and leave do not disturb each other.
func TestConcurrentPlaces(t *testing.T) {
	t.Parallel()
	p := New(Limits{50, 40, 30, 20})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var mine []*Place
			for k := range 2000 {
				c := p.Enter([]clients.Service{game, dns, web}[k%3], address(k%9), func() {})
				mine = append(mine, c)
				for _, c := range mine[max(0, len(mine)-5):] {
					c.Active()
					if k%2 == i%2 {
						c.Answered()
					}
				}
			}
			for _, c := range mine {
				c.Leave()
			}
		})
	}
	all.Wait()
	if p.Open() != 0 || len(p.origins)+len(p.services)+len(p.nodes) != 0 {
		t.Errorf("%d flows are left", p.Open())
	}
}

// TestFloodIsCheap: room is found quickly among many flows over which something passes all the time.
func TestFloodIsCheap(t *testing.T) {
	t.Parallel()
	p := New(Limits{1 << 16, 1 << 13, 1 << 12, 1 << 10})
	var busy []*Place
	for i := range 1 << 12 {
		c := p.Enter(game, address(i), func() {})
		c.Answered()
		busy = append(busy, c)
	}
	steps := 0
	for i := range 20 {
		for _, c := range busy {
			c.Active()
			c.active.Add(int64(i + 1)) // the clock may be coarse
		}
		for range 10 {
			before := seen(busy)
			p.Enter(game, address(1<<13+i), func() {}).Answered()
			for k, at := range seen(busy) {
				if at != before[k] {
					steps++
				}
			}
		}
	}
	if most := 20 * len(busy); steps > most {
		t.Errorf("%d steps after %d datagrams", steps, most)
	}
}

func seen(all []*Place) (at []int64) {
	for _, c := range all {
		at = append(at, c.members[0].seen)
	}
	return at
}

// TestMemory: what a flow costs here, from an address and a network of its own.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const flows = 20000
	p := New(Limits{flows, flows, flows, flows})
	all := slices.Repeat([]*Place{nil}, flows)
	for i := range all {
		all[i] = p.Enter(game, address(i), func() {})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / flows
	t.Logf("%d bytes", each)
	if each > 1500 {
		t.Errorf("a flow costs %d bytes", each)
	}
	runtime.KeepAlive(all)
}
