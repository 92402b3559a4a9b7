package clients

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestPerAddressOfService: a service may let an address have fewer clients than others do, and say so anew.
func TestPerAddressOfService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, from := New(1000, 100, 10), netip.MustParseAddr("192.0.2.1")
		few, shared := Service{Node: "node", Name: "web", PerAddress: 2}, Service{Name: "https"}
		var places []*Place
		admit := func(service Service, from netip.Addr, want error) {
			t.Helper()
			place, err := p.Admit(service, from, func() {})
			if !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
			if err == nil {
				places = append(places, place)
			}
		}
		admit(few, from, nil)
		admit(few, from, nil)
		admit(few, from, ErrAddressFull)
		admit(Service{Node: "node", Name: "ssh"}, from, nil) // another service
		admit(few, netip.MustParseAddr("192.0.3.1"), nil)
		admit(shared, from, nil)
		if err := places[len(places)-1].Move(few); !errors.Is(err, ErrAddressFull) {
			t.Errorf("a client of a domain: %v", err)
		}
		few.PerAddress = 3
		admit(few, from, nil)
		admit(few, from, ErrAddressFull)
		few.PerAddress = 50 // more than others may have changes nothing
		for range 7 {
			admit(few, from, nil)
		}
		admit(few, from, ErrAddressFull)
		for _, place := range places {
			place.Leave()
		}
		time.Sleep(time.Hour)
		if len(p.open)+len(p.services)+len(p.pairs) != 0 {
			t.Errorf("left: %d %v %v", len(p.open), p.services, p.pairs)
		}
	})
}

// TestMostOfService: a service may have more or fewer clients than others, and so may its node.
func TestMostOfService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, New(1000, 100, 10))
		few := Service{Node: "A", Name: "web", Most: 3, MostPerAddress: 20}
		c.want(few, "192.0.2.1", 5, 3, ErrServiceFull)
		few.Name = "ssh"
		c.want(few, "192.0.2.1", 5, 3, ErrServiceFull)
		few.Name = "mail"
		c.want(few, "192.0.2.1", 1, 0, ErrNodeFull)
		c.want(Service{Node: "D", Name: "web", MostPerAddress: 2}, "192.0.3.1", 5, 2, ErrAddressFull)
		c.want(Service{Node: "B", Name: "web", Most: 200, MostPerAddress: 150}, "198.51.100.1", 200, 150, ErrAddressFull)
		most := Service{Node: "C", Name: "web", Most: 1_000_000, MostPerAddress: 1_000_000}
		c.want(most, "203.0.113.1", 1000, 250, ErrAddressFull) // never more than the machine's share
		for _, place := range c.places {
			place.Leave()
		}
		if c.clients.Open() != 0 || len(c.clients.services)+len(c.clients.nodes)+len(c.clients.pairs) != 0 {
			t.Errorf("something is left: %+v", c.clients)
		}
	})
}
