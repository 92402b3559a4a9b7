//go:build linux

package netns

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestOutage cuts the link silently: interfaces stay up, and addresses stay.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, outage := range []time.Duration{time.Minute, 20 * time.Second, 5 * time.Second} {
		for traffic, kinds := range everything {
			t.Run(outage.String()+"/"+traffic, func(t *testing.T) {
				t.Parallel()
				w := newTunnel(t)
				relays := w.relays(kinds...)
				for k, after := range w.cut(outage, relays) {
					check(t, outage.String()+" outage", k, after)
				}
				finish(relays)
			})
		}
	}
}

// TestLostConnection cuts the link until both sides have given up their connection: relays resume on the next
// one.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	for traffic, kinds := range everything {
		t.Run(traffic, func(t *testing.T) {
			t.Parallel()
			w := newTunnel(t, "--idle-timeout", "5s")
			relays := w.relays(kinds...)
			for k, after := range w.cut(15*time.Second, relays) {
				check(t, "lost connection", k, after)
			}
			finish(relays)
			if all := connected.FindAllString(w.server.text(), -1); len(all) < 2 {
				t.Errorf("the connection was not lost: %q", all)
			}
		})
	}
}

// cut cuts the link for a while and returns, for each relay, how long after its end something arrived.
func (w *tunnel) cut(outage time.Duration, relays []*relay) map[kind]time.Duration {
	w.t.Helper()
	w.uplinks[0].link.set("down")
	time.Sleep(outage)
	for _, r := range relays {
		r.arrivals.restart()
	}
	w.uplinks[0].link.set("up")
	for _, r := range relays {
		if r.kind == idle {
			r.measure()
		}
	}
	after := map[kind]time.Duration{}
	for _, r := range relays {
		after[r.kind] = r.awaitArrival(2*outage + maxWait)
	}
	return after
}

// TestOutageMedian finds typical values: make test-net TRIES=10.
func TestOutageMedian(t *testing.T) {
	skipUnlessEnabled(t)
	tries, _ := strconv.Atoi(os.Getenv(enabled + "_TRIES"))
	if tries == 0 {
		t.Skip("make test-net TRIES=10 runs this")
	}
	for traffic, kinds := range everything {
		t.Run(traffic, func(t *testing.T) {
			t.Parallel()
			w := newTunnel(t)
			relays := w.relays(kinds...)
			after := map[kind][]time.Duration{}
			for range tries {
				for k, d := range w.cut(5*time.Second, relays) {
					after[k] = append(after[k], d)
				}
				time.Sleep(warmUp + settle)
			}
			for k, all := range after {
				slices.Sort(all)
				t.Logf("outage of 5s, %s: median %.2fs, %.2fs to %.2fs, %d tries", k, all[len(all)/2].Seconds(), all[0].Seconds(), all[len(all)-1].Seconds(), len(all))
			}
			finish(relays)
		})
	}
}
