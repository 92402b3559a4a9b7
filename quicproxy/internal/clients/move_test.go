package clients

import (
	"errors"
	"net/netip"
	"testing"
)

// TestMove: a connection takes its place along to another service, if that has room, and otherwise keeps it.
func TestMove(t *testing.T) {
	t.Parallel()
	p := New(20, 3, 3)
	shared, web := Service{Name: "https"}, Service{Node: "node", Name: "web"}
	address := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, i, 7}) }
	admit := func(service Service, from netip.Addr) *Place {
		t.Helper()
		c, err := p.Admit(service, from, func() { t.Error("evicted") })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for i := range byte(3) {
		if err := admit(shared, address(i)).Move(web); err != nil {
			t.Fatal(err)
		}
	}
	fourth := admit(shared, address(9))
	if err := fourth.Move(web); !errors.Is(err, ErrServiceFull) {
		t.Errorf("the fourth client of a full service: %v", err)
	}
	if p.services[shared] != 1 || p.services[web] != 3 || p.Open() != 4 {
		t.Errorf("%d and %d places of %d", p.services[shared], p.services[web], p.Open())
	}
	fourth.Leave()
	if err := fourth.Move(web); err == nil || p.Open() != 3 {
		t.Errorf("one without a place moved: %v", err)
	}
}

// TestMoveMakesRoom: whoever moves is treated as a newcomer there: the client of an address with many makes room.
func TestMoveMakesRoom(t *testing.T) {
	t.Parallel()
	p := New(20, 3, 3)
	shared, web := Service{Name: "https"}, Service{Node: "node", Name: "web"}
	greedy, modest := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")
	evicted := 0
	for range 3 {
		if _, err := p.Admit(web, greedy, func() { evicted++ }); err != nil {
			t.Fatal(err)
		}
	}
	c, err := p.Admit(shared, modest, func() { t.Error("evicted") })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Move(web); err != nil || evicted != 1 || p.services[web] != 3 || p.services[shared] != 0 {
		t.Errorf("%v, %d evicted, %d and %d places", err, evicted, p.services[web], p.services[shared])
	}
}
