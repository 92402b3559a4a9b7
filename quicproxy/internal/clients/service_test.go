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
