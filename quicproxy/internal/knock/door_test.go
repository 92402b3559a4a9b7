package knock

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// begin is when these tests begin.
var begin = time.Unix(1_700_000_000, 0)

// TestDoor: what opens the door, for whom, and for how long.
func TestDoor(t *testing.T) {
	t.Parallel()
	home, elsewhere := netip.MustParseAddrPort("192.0.2.1:5"), netip.MustParseAddrPort("198.51.100.1:5")
	type knock struct {
		after   time.Duration // of begin
		from    netip.AddrPort
		random  byte
		at      time.Time
		claimed string
		opened  bool
	}
	for _, test := range []struct {
		name   string
		knocks []knock
	}{
		{"a knock", []knock{{0, home, 1, begin, "", true}}},
		{"a clock that began in 1970", []knock{{0, home, 1, time.Unix(17, 0), "", true}}},
		{"a clock of tomorrow", []knock{{0, home, 1, begin.Add(24 * time.Hour), "", true}}},
		{"a true address", []knock{{0, home, 1, begin, "192.0.2.1", true}}},
		{"an address that was translated", []knock{{0, home, 1, begin, "203.0.113.1", true}}},
		{"the same knock twice", []knock{{0, home, 1, begin, "", true}, {time.Second, home, 1, begin, "", true}}},
		{"overheard", []knock{{0, home, 1, begin, "", true}, {time.Second, elsewhere, 1, begin, "", false}}},
		{"overheard, and used for long", []knock{
			{0, home, 1, begin, "", true}, {299 * time.Second, elsewhere, 1, begin, "", false},
			{598 * time.Second, elsewhere, 1, begin, "", false},
		}},
		{"another knock from elsewhere", []knock{{0, home, 1, begin, "", true}, {0, elsewhere, 2, begin, "", true}}},
	} {
		d := NewDoor()
		for i, k := range test.knocks {
			now := begin.Add(k.after)
			var claimed netip.Addr
			if k.claimed != "" {
				claimed = netip.MustParseAddr(k.claimed)
			}
			if opened := d.Knock(k.from, [16]byte{k.random}, k.at, claimed, now); opened != k.opened {
				t.Errorf("%s: knock %d: %v", test.name, i, opened)
			}
			if d.Open(k.from, now) != k.opened {
				t.Errorf("%s: after knock %d the door is open: %v", test.name, i, !k.opened)
			}
			if d.Open(k.from, now.Add(openFor)) {
				t.Errorf("%s: the door stays open", test.name)
			}
			if other := netip.AddrPortFrom(k.from.Addr(), 6); d.Open(other, now) {
				t.Errorf("%s: another port is let in, too", test.name)
			}
		}
	}
}

// TestDoorIsBounded: knocks from everywhere take a bounded amount of memory, and cannot keep others out.
func TestDoorIsBounded(t *testing.T) {
	t.Parallel()
	d, now := NewDoor(), begin
	random := func(i int) (r [16]byte) {
		binary.BigEndian.PutUint64(r[:], uint64(i))
		return r
	}
	for i := range 5 * maxKnocks {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		d.Knock(from, random(i), now, netip.Addr{}, now)
		if len(d.open) > maxOpen || len(d.knocks) > maxKnocks || len(d.older) > maxKnocks {
			t.Fatalf("%d open, %d and %d knocks", len(d.open), len(d.knocks), len(d.older))
		}
	}
	node := netip.MustParseAddrPort("192.0.2.1:5")
	if !d.Knock(node, random(-1), now, netip.Addr{}, now) || !d.Open(node, now) {
		t.Error("a node cannot get in")
	}

	// A store of old knocks opens the door for few, and keeps out nobody whose clock is right.
	old := begin.Add(-time.Hour)
	opened := 0
	for i := range 3 * suspectBurst {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		if d.Knock(from, random(1<<40+i), old, netip.Addr{}, now) {
			opened++
		}
	}
	if opened != suspectBurst {
		t.Errorf("%d old knocks opened the door, want %d", opened, suspectBurst)
	}
	if !d.Knock(node, random(-2), now, netip.Addr{}, now) {
		t.Error("old knocks keep a new one out")
	}
}
