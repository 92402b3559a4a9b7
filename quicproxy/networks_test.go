package quicproxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestNetworks: a bounded number is remembered, and no failure of the store ends anything.
func TestNetworks(t *testing.T) {
	t.Parallel()
	store, logged := new(networkMemory), new(logBuffer)
	n := networks{store: store, log: slog.New(slog.NewTextHandler(logged, nil))}
	for i := range maxNetworks + 5 {
		n.put(Network{Name: fmt.Sprint(i), Proven: time.Duration(i)})
	}
	n.put(Network{Name: "5", Proven: 1})
	if len(store.known) != maxNetworks || store.known[0].Name != "6" || n.get("5").Proven != 1 || n.get("4") != (Network{Name: "4"}) {
		t.Errorf("remembered are %+v", store.known)
	}
	again := networks{store: store, log: slog.New(slog.NewTextHandler(logged, nil))}
	again.load()
	if !slices.Equal(again.known, n.known) {
		t.Errorf("loaded %+v", again.known)
	}
	again.distrust("5")
	again.distrust("none")
	if !again.get("5").Found.IsZero() {
		t.Error("it is still trusted")
	}
	store.err = errors.New("no such disk")
	n.put(Network{Name: "new"})
	broken := networks{store: store, log: slog.New(slog.NewTextHandler(logged, nil))}
	broken.load()
	if n.get("new").Name != "new" || len(broken.known) != 0 || logged.count("no such disk") != 2 {
		t.Errorf("after failures: %v", logged)
	}
}

// TestIdleSearch: whatever a NAT keeps, the search ends soon, below it, and not far below.
func TestIdleSearch(t *testing.T) {
	t.Parallel()
	for timeout := time.Second; timeout < 400*time.Second; timeout += time.Second {
		for _, most := range []time.Duration{8 * time.Second, 36 * time.Second, 100 * time.Second, maxKeepalive} {
			var n Network
			want, tries := enough(most), 0
			for idle, ok := n.nextIdle(want); ok; idle, ok = n.nextIdle(want) {
				if tries++; tries > 8 || idle <= n.Proven || idle > want || n.Failed > 0 && idle >= n.Failed {
					t.Fatalf("%v: try %d is %v after %+v", timeout, tries, idle, n)
				}
				n = n.tried(idle, idle < timeout, time.Now())
			}
			if n.Proven >= timeout {
				t.Errorf("%v: proven is %v", timeout, n.Proven)
			}
			if timeout > 31*time.Second && n.Proven < min(timeout*7/10, want) {
				t.Errorf("%v, at most %v: no more than %v is proven", timeout, want, n.Proven)
			}
			if want < idleSteps[len(idleSteps)-1] && want-margin(want) < most {
				t.Errorf("%v is not enough for %v", want, most)
			}
		}
	}
	n := Network{Proven: time.Minute, Failed: 70 * time.Second}.tried(time.Minute, false, time.Now())
	if n.Proven != 0 || n.Failed != time.Minute {
		t.Errorf("what was proven and is no more: %+v", n)
	}
	for losses, want := range map[int]time.Duration{1: 10 * time.Minute, 2: 20 * time.Minute, 3: 40 * time.Minute, 9: maxLossPause, 1000: maxLossPause} {
		if got := lossPause(losses); got != want {
			t.Errorf("after %d losses: %v, want %v", losses, got, want)
		}
	}
}

// TestWhereabouts: which networks are the same.
func TestWhereabouts(t *testing.T) {
	t.Parallel()
	inside := netip.MustParseAddr("192.168.1.2")
	for observed, want := range map[string]string{
		"192.0.2.1:1":          "192.0.2.1 192.168.1.2",
		"[::ffff:192.0.2.1]:2": "192.0.2.1 192.168.1.2",
		"[2001:db8::1]:1":      "2001:db8:: 192.168.1.2",
		"":                     "",
		"192.0.2.1":            "",
		"x:1":                  "",
	} {
		if _, got := whereabouts(observed, inside); got != want {
			t.Errorf("%q: %q, want %q", observed, got, want)
		}
	}
}
