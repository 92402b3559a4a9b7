package path

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

func TestSilenceMeter(t *testing.T) {
	t.Parallel()
	type packets struct{ sent, received uint64 }
	const silentAfter = 3 * time.Second
	const silentLooks = int(silentAfter / SilenceLook)
	repeat := func(n int, p packets) (all []packets) {
		for range n {
			all = append(all, p)
		}
		return all
	}
	for name, test := range map[string]struct {
		looks  []packets
		silent bool
	}{
		"nothing happens":                {repeat(100, packets{9, 9}), false},
		"sent and answered":              {append([]packets{{9, 9}, {10, 9}, {10, 10}}, repeat(100, packets{10, 10})...), false},
		"sent and never answered":        {append([]packets{{9, 9}, {10, 9}}, repeat(silentLooks, packets{12, 9})...), true},
		"not for long enough":            {append([]packets{{9, 9}, {10, 9}}, repeat(silentLooks-2, packets{12, 9})...), false},
		"a late acknowledgement of ours": {append([]packets{{9, 9}, {9, 10}}, repeat(100, packets{10, 10})...), false},
		"and something else":             {append([]packets{{9, 9}, {9, 10}}, repeat(silentLooks, packets{11, 10})...), true},
		"and a retransmission":           {append([]packets{{9, 9}, {9, 10}, {10, 10}, {12, 10}}, repeat(silentLooks, packets{14, 10})...), true},
		"answered in the end":            {append(append([]packets{{9, 9}, {10, 9}}, repeat(100, packets{12, 9})...), packets{13, 10}), false},
	} {
		var m SilenceMeter
		now, silent := time.Unix(0, 0), false
		for _, p := range test.looks {
			silent = m.Look(quic.ConnectionStats{PacketsSent: p.sent, PacketsReceived: p.received}, now) >= silentAfter
			now = now.Add(SilenceLook)
		}
		if silent != test.silent {
			t.Errorf("%s: silent %v", name, silent)
		}
	}
}

// TestSuspectSooner: once another connection of the node has moved, one that has not been seen since is soon
// suspect.
func TestSuspectSooner(t *testing.T) {
	t.Parallel()
	seen := time.Unix(100, 0)
	m := SilenceMeter{last: seen}
	for _, test := range []struct {
		silence, rtt time.Duration
		moved        time.Time
		want         bool
	}{
		{suspectAfter - 1, 0, time.Time{}, false},
		{suspectAfter, 0, time.Time{}, true},
		{suspectAfter, suspectAfter, time.Time{}, false},
		{movedAfter, 0, seen, false},
		{movedAfter, 0, seen.Add(1), true},
		{movedAfter - 1, 0, seen.Add(1), false},
		{movedAfter, movedAfter, seen.Add(1), false},
	} {
		if got := m.IsSuspect(test.silence, quic.ConnectionStats{SmoothedRTT: test.rtt}, test.moved); got != test.want {
			t.Errorf("%+v: suspect %v", test, got)
		}
	}
}
