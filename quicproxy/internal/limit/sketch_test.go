package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestSketch: whoever has many addresses of a network has little more than one, and nobody more than the limit.
func TestSketch(t *testing.T) {
	t.Parallel()
	const burst = 16
	for name, test := range map[string]struct {
		addresses func(i int) string
		want      int
	}{
		"one address": {func(int) string { return "192.0.2.1" }, burst},
		"one, mapped": {func(int) string { return "::ffff:192.0.2.1" }, burst},
		"a /24":       {func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, 4 * burst},
		"a /64":       {func(i int) string { return fmt.Sprintf("2001:db8::%x", 1+i) }, burst},
		"a /56":       {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, 2 * burst},
		"a /48":       {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, 4 * burst},
	} {
		now := time.Now()
		s, allowed := NewSketch(now), 0
		for i := range 4000 {
			if s.Allow(netip.MustParseAddr(test.addresses(i)), time.Second, burst, now) {
				allowed++
			}
		}
		if allowed != test.want {
			t.Errorf("%s: %d at once, want %d", name, allowed, test.want)
		}
	}
}

// TestSketchRate: an address may do it again as time goes on, and no earlier.
func TestSketchRate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, address := NewSketch(now), netip.MustParseAddr("2001:db8::1")
	allowed := 0
	for range 100 * 60 { // a minute, every 10 ms
		if s.Allow(address, 100*time.Millisecond, 5, now) {
			allowed++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if want := 5 + 60*10 - 1; allowed < want || allowed > want+1 {
		t.Errorf("%d within a minute, want %d", allowed, want)
	}
}

// TestSketchFlood: floods from any number of addresses cost no memory, and others are still served.
func TestSketchFlood(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := NewSketch(now)
	village := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i%65536)) }
	refused := 0
	for second := range 5 {
		for i := range 20_000 { // of one /48, and 60 of ever other ones
			s.Allow(village(i), time.Second, 4, now)
		}
		for i := range 60 {
			s.Allow(netip.AddrFrom4([4]byte{11, byte(second), byte(i), 1}), time.Second, 4, now)
		}
		for i := range 100 {
			if !s.Allow(netip.AddrFrom4([4]byte{198, byte(18 + second), byte(i), 9}), time.Second, 4, now) {
				refused++
			}
		}
		now = now.Add(time.Second)
	}
	if refused > 5 {
		t.Errorf("%d of 500 others were refused", refused)
	}
}
