package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	t.Parallel()
	r := NewRates[string](time.Minute, 2, 2)
	now := time.Now()
	allow := func(key string, want bool) {
		t.Helper()
		if got := r.Allow(key, now); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	allow("a", true)
	allow("a", true)
	allow("a", false)
	allow("b", true)
	allow("c", false) // a third key, while both are in use
	now = now.Add(time.Minute)
	allow("a", true)
	allow("a", false)
	allow("c", true) // b has its burst again and is forgotten
	now = now.Add(time.Hour)
	allow("a", true)
	allow("a", true)
	allow("a", false)
	if len(r.buckets) > 2 {
		t.Errorf("%d keys are remembered", len(r.buckets))
	}
}

// TestNetworkRates: many addresses of one customer, or of one neighbourhood, have little more than one.
func TestNetworkRates(t *testing.T) {
	t.Parallel()
	const burst = 16
	for name, test := range map[string]struct {
		addresses func(i int) string
		want      int
	}{
		"one address":         {func(int) string { return "192.0.2.1" }, burst},
		"one, mapped":         {func(int) string { return "::ffff:192.0.2.1" }, burst},
		"a /24":               {func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, burst / 4 * 5},
		"a /64":               {func(i int) string { return fmt.Sprintf("2001:db8::%x", 1+i) }, burst},
		"a /56":               {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, burst / 2 * 3},
		"a /48":               {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, 2 * burst},
		"one after the other": {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i/1000) }, burst + burst/2},
		"everywhere":          {func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 4000},
	} {
		r, now, allowed := NewNetworkRates(time.Minute, burst, 1<<14), time.Now(), 0
		for i := range 4000 {
			if r.Ask(netip.MustParseAddr(test.addresses(i)), now) == 0 {
				allowed++
			}
		}
		if allowed != test.want {
			t.Errorf("%s: %d at once, want %d", name, allowed, test.want)
		}
	}
	r, now, address := NewNetworkRates(time.Minute, 1, 1<<14), time.Now(), netip.MustParseAddr("192.0.2.1")
	if wait := r.Ask(address, now); wait != 0 {
		t.Errorf("the first one waits %v", wait)
	}
	if wait := r.Ask(address, now); wait != time.Minute {
		t.Errorf("the next one waits %v", wait)
	}
	if wait := r.Ask(address, now.Add(time.Minute)); wait != 0 {
		t.Errorf("a minute later it waits %v", wait)
	}
}

// TestNetworkRatesAreBounded: ever new networks cost no memory, and no more time the more they are.
func TestNetworkRatesAreBounded(t *testing.T) {
	t.Parallel()
	const most = 1 << 14
	r, now, begin := NewNetworkRates(time.Minute, 1, most), time.Now(), time.Now()
	for i := range 300_000 {
		r.Ask(netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if n := len(r.rates.buckets); n > most {
		t.Errorf("%d networks are remembered", n)
	}
	if took := time.Since(begin); took > 20*time.Second { // a sweep for each one would take minutes
		t.Errorf("it took %v", took)
	}
}
