package clients

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is the connections with which the tests fill Places.
type crowd struct {
	t       *testing.T
	clients *Places
	places  []*Place
	evicted map[netip.Addr]int
}

func newCrowd(t *testing.T, clients *Places) *crowd {
	return &crowd{t: t, clients: clients, evicted: make(map[netip.Addr]int)}
}

// add opens connections from an address and returns how many got a place.
func (c *crowd) add(service Service, from string, n int) (added int, err error) {
	address := netip.MustParseAddr(from)
	for range n {
		place, e := c.clients.Admit(service, address, func() { c.evicted[address]++ })
		if e != nil {
			return added, e
		}
		c.places = append(c.places, place)
		added++
	}
	return added, nil
}

func (c *crowd) want(service Service, from string, n, added int, err error) {
	c.t.Helper()
	if got, e := c.add(service, from, n); got != added || e != err {
		c.t.Errorf("%s at %v: %d connections, then %v; want %d, then %v", from, service, got, e, added, err)
	}
}

// TestClientShares: neither a service nor a node nor an address gets all places.
func TestClientShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(1000, 300, 100))
		c.want(Service{Node: "A", Name: "web"}, "10.0.0.1", 200, 100, ErrAddressFull)
		c.want(Service{Node: "A", Name: "ssh"}, "10.0.0.1", 200, 100, ErrAddressFull)
		c.want(Service{Node: "B", Name: "web"}, "10.0.0.1", 200, 50, ErrAddressFull) // a quarter of all
		c.want(Service{Node: "A", Name: "web"}, "10.0.2.2", 200, 100, ErrAddressFull)
		c.want(Service{Node: "A", Name: "web"}, "10.0.3.3", 200, 100, ErrAddressFull)
		c.want(Service{Node: "A", Name: "ssh"}, "10.0.3.3", 200, 100, ErrAddressFull)
		if c.clients.PerNode(0) != 500 {
			t.Errorf("a node may have %d of 1000", c.clients.PerNode(0))
		}
		if n := c.clients.Open(); n != 550 || len(c.evicted) != 0 {
			t.Errorf("%d places are taken, %v were evicted", n, c.evicted)
		}
		for _, place := range c.places {
			place.Leave()
			place.Leave()
		}
		if c.clients.Open() != 0 || len(c.clients.services)+len(c.clients.nodes)+len(c.clients.pairs) != 0 {
			t.Errorf("something is left: %+v", c.clients)
		}
	})
}

// TestClientMakesRoom: four addresses with a thousand idle connections each do not block a service.
func TestClientMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(100_000, 4096, 1024))
		web := Service{Node: "A", Name: "web"}
		for i := range 4 {
			c.want(web, fmt.Sprintf("10.0.0.%d", i), 1024, 1024, nil)
			time.Sleep(time.Second)
		}
		for _, place := range c.places[:1023] {
			place.Active() // all but one of the first address
		}
		time.Sleep(time.Second)
		oldest := c.places[1023]
		c.want(web, "192.0.2.1", 1, 1, nil)
		if oldest.index != -1 || c.evicted[netip.MustParseAddr("10.0.0.0")] != 1 {
			t.Errorf("not the one that was idle for longest made room: %v", c.evicted)
		}
		for i := range 100 {
			c.want(web, fmt.Sprintf("192.0.%d.1", i+3), 5, 5, nil)
		}
		if n := c.clients.services[web]; n != 4096 {
			t.Errorf("%d clients", n)
		}
		for from, n := range c.evicted {
			if from.As4()[0] != 10 {
				t.Errorf("%d connections of %v were evicted", n, from)
			}
		}
	})
}

// TestClientIdle: between addresses with equally many, only a long idle connection makes room.
func TestClientIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(1000, 10, 10))
		web := Service{Node: "A", Name: "web"}
		for i := range 10 {
			c.want(web, fmt.Sprintf("10.0.%d.0", i), 1, 1, nil)
		}
		c.want(web, "10.1.0.0", 1, 0, ErrServiceFull)
		time.Sleep(idleLong)
		for _, place := range c.places[1:] {
			place.Active()
		}
		c.want(web, "10.1.0.0", 2, 1, ErrServiceFull)
		if c.evicted[netip.MustParseAddr("10.0.0.0")] != 1 {
			t.Errorf("evicted: %v", c.evicted)
		}
	})
}

// TestClientArrivals: the rate limit of one address does not affect others.
func TestClientArrivals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clients := New(1<<20, 1<<20, 1<<20)
		connect := func(from string, n int) (admitted int) {
			for range n {
				if c, err := clients.Admit(Service{}, netip.MustParseAddr(from), nil); err == nil {
					c.Leave()
					admitted++
				}
			}
			return admitted
		}
		if n := connect("2001:db8::", arrivalBurst+100); n != arrivalBurst {
			t.Errorf("%d connections at once", n)
		}
		if n := connect("2001:db8:0:1::", 100); n != 100 {
			t.Errorf("another address gets %d of 100", n)
		}
		time.Sleep(10 * time.Second)
		if n := connect("2001:db8::", 11*arrivalRate); n != 10*arrivalRate {
			t.Errorf("%d connections after ten seconds", n)
		}
		for i := range 2 * maxOrigins {
			connect(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), 1)
		}
		if n := len(clients.origins); n > maxOrigins {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

// TestClientSearch: the search for room has a limit of its own.
func TestClientSearch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = 20_000
		const burst = 16 * all
		clients := New(all, all, all).OfOneNode()
		clients.search.SetBurst(burst)
		from := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}) }
		for i := range all {
			if _, err := clients.Admit(Service{}, from(i/2), func() {}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 500 {
			clients.Admit(Service{}, from(all+i), func() {})
		}
		if n := clients.searches; n > burst/all+1 {
			t.Errorf("%d searches without time", n)
		}
	})
}
