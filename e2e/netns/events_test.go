//go:build linux

package netns

import (
	"testing"
	"time"
)

const (
	warmUp = 1500 * time.Millisecond // bulk traffic has found its speed
	settle = 2500 * time.Millisecond // what an event does shows within this time
	// calm is how short the pauses are when everything is well again.
	calm = 500 * time.Millisecond
)

// relays starts a relay of each kind and lets them warm up.
func (w *tunnel) relays(kinds ...kind) (relays []*relay) {
	w.t.Helper()
	for _, k := range kinds {
		relays = append(relays, w.relay(k))
	}
	time.Sleep(warmUp)
	return relays
}

// survive puts relays through an event, which home may know of or not, and checks how long they stalled.
func survive(t *testing.T, event string, relays []*relay, happen func()) {
	t.Helper()
	for _, r := range relays {
		r.arrivals.restart()
	}
	happen()
	for _, r := range relays {
		if r.kind == idle {
			r.measure()
		}
	}
	time.Sleep(settle)
	for _, r := range relays {
		check(t, event, r.kind, r.longestStall())
	}
}

// longestStall waits until the relay goes on as if nothing had happened.
func (r *relay) longestStall() time.Duration {
	r.t.Helper()
	first := r.awaitArrival(maxWait)
	if r.kind == idle {
		return first
	}
	for {
		longest, present := r.arrivals.stall()
		if present < calm {
			return longest
		}
		if present > maxWait {
			r.t.Fatalf("%s: stalled for %v", r.kind, present)
		}
		time.Sleep(calm / 10)
	}
}

func check(t *testing.T, event string, k kind, stall time.Duration) {
	t.Helper()
	limit := limits[event][k]
	t.Logf("%s, %s: stall: %.2fs", event, k, stall.Seconds())
	if stall > limit {
		t.Errorf("%s, %s: a stall of %.2fs, more than %v", event, k, stall.Seconds(), limit)
	}
}

func finish(relays []*relay) {
	for _, r := range relays {
		r.t.Helper()
		r.finish()
	}
}
