package path

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestLossMeter: what counts as loss that limits a connection, and for how long.
func TestLossMeter(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	now := time.Now()
	for name, test := range map[string]struct {
		sent, lost uint64 // each second
		rtt        time.Duration
		want       bool
	}{
		"radio":      {1000, 10, 51 * ms, true},
		"clean":      {1000, 0, 51 * ms, false},
		"full queue": {1000, 10, 120 * ms, false},
		"idle":       {10, 5, 51 * ms, false},
	} {
		var m LossMeter
		var stats quic.ConnectionStats
		var got bool
		for range lossyLooks {
			if got {
				t.Errorf("%s: too early", name)
			}
			stats.PacketsSent += test.sent
			stats.PacketsLost += test.lost
			stats.MinRTT, stats.SmoothedRTT = 50*ms, test.rtt
			got = m.Look(now, stats)
		}
		if got != test.want {
			t.Errorf("%s: limited by loss: %v", name, got)
		}
		if m.Limited(now.Add(stillLossy-1)) != got || m.Limited(now.Add(stillLossy)) {
			t.Errorf("%s: a while later: %v, and then %v", name, m.Limited(now.Add(stillLossy-1)), m.Limited(now.Add(stillLossy)))
		}
		if m.Look(now, stats) {
			t.Errorf("%s: nothing was sent, and it is found again", name)
		}
	}
}
