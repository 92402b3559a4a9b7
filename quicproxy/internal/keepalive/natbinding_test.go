package keepalive

import (
	"testing"
	"time"
)

// TestIdleSearch: whatever a NAT keeps, the search ends soon, below it, and not far below.
func TestIdleSearch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for timeout := time.Second; timeout < 400*time.Second; timeout += time.Second {
		for _, most := range []time.Duration{8 * time.Second, 36 * time.Second, 100 * time.Second, maxInterval} {
			var b NATBinding
			want, tries := enough(most), 0
			for idle, ok := b.nextIdle(want); ok; idle, ok = b.nextIdle(want) {
				if tries++; tries > 8 || idle <= b.Proven || idle > want || b.Failed > 0 && idle >= b.Failed {
					t.Fatalf("%v: try %d is %v after %+v", timeout, tries, idle, b)
				}
				b = b.tried(now, idle, idle < timeout)
			}
			if b.Proven >= timeout {
				t.Errorf("%v: proven is %v", timeout, b.Proven)
			}
			if timeout > 31*time.Second && b.Proven < min(timeout*7/10, want) {
				t.Errorf("%v, at most %v: no more than %v is proven", timeout, want, b.Proven)
			}
			if want < idleSteps[len(idleSteps)-1] && want-margin(want) < most {
				t.Errorf("%v is not enough for %v", want, most)
			}
		}
	}
}

// TestPlan: what is tried next, and when.
func TestPlan(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	now := time.Now()
	fresh, old := now.Add(-time.Hour), now.Add(-provenFor)
	for name, test := range map[string]struct {
		binding    NATBinding
		idle, wait time.Duration
	}{
		"nothing is known":         {NATBinding{}, 30 * time.Second, 0},
		"the search goes up":       {NATBinding{Proven: minute, Found: fresh}, 2 * minute, 0},
		"and halves the gap":       {NATBinding{Proven: 2 * minute, Failed: 3 * minute, Found: fresh}, 150 * time.Second, 0},
		"all is known":             {NATBinding{Proven: 5 * minute, Found: fresh}, 0, provenFor - time.Hour},
		"well enough":              {NATBinding{Proven: 3 * minute, Failed: 4 * minute, Found: fresh}, 0, provenFor - time.Hour},
		"too little is kept":       {NATBinding{Failed: 30 * time.Second, Found: fresh}, 0, provenFor - time.Hour},
		"a week has just passed":   {NATBinding{Proven: 5 * minute, Found: old}, 5 * minute, 0},
		"for a NAT that keeps few": {NATBinding{Failed: 30 * time.Second, Found: old}, 30 * time.Second, 0},
		"it is distrusted":         {NATBinding{Proven: minute, Failed: 70 * time.Second}, minute, 0},
		"a clock was wrong":        {NATBinding{Proven: minute, Found: now.Add(time.Hour)}, minute, 0},
		"a mapping was lost":       {NATBinding{Losses: 1, Found: now}, 30 * time.Second, 10 * minute},
		"that is a while ago":      {NATBinding{Losses: 2, Found: now.Add(-minute)}, 30 * time.Second, 19 * minute},
		"that is over":             {NATBinding{Losses: 3, Found: fresh}, 30 * time.Second, 0},
		"the clock was wrong then": {NATBinding{Losses: 3, Found: now.Add(time.Hour)}, 30 * time.Second, 0},
		"more is known since":      {NATBinding{Losses: 3, Proven: minute, Found: now}, 2 * minute, 0},
	} {
		if idle, wait := test.binding.plan(now, maxInterval); idle != test.idle || wait != test.wait {
			t.Errorf("%s: %v after %v, want %v after %v", name, idle, wait, test.idle, test.wait)
		}
	}
	if idle, wait := (NATBinding{Proven: 5 * minute, Found: old}).plan(now, 36*time.Second); idle != 42*time.Second || wait != 0 {
		t.Errorf("with a shorter idle timeout than once, %v is proven again after %v", idle, wait)
	}
	for losses, want := range map[int]time.Duration{1: 10 * minute, 2: 20 * minute, 3: 40 * minute, 9: maxLossPause, 1000: maxLossPause} {
		if got := lossPause(losses); got != want {
			t.Errorf("after %d losses: %v, want %v", losses, got, want)
		}
	}
}

// TestTried: what a try teaches.
func TestTried(t *testing.T) {
	t.Parallel()
	now := time.Now()
	fresh, old := now.Add(-time.Hour), now.Add(-provenFor)
	const half, one, two = 30 * time.Second, time.Minute, 2 * time.Minute
	for name, test := range map[string]struct {
		before       NATBinding
		idle         time.Duration
		kept         bool
		proven, fail time.Duration
		losses       int
	}{
		"more is kept":               {NATBinding{Proven: half, Failed: two, Losses: 1, Found: fresh}, one, true, one, two, 1},
		"than had failed":            {NATBinding{Proven: half, Failed: one, Found: fresh}, one, true, one, 0, 0},
		"too much":                   {NATBinding{Proven: one, Found: fresh}, two, false, one, two, 0},
		"it was kept once":           {NATBinding{Proven: one, Failed: two, Found: fresh}, one, false, 0, one, 0},
		"again after a week":         {NATBinding{Proven: one, Failed: two, Losses: 2, Found: old}, one, true, one, 0, 0},
		"no longer after a week":     {NATBinding{Proven: one, Failed: two, Losses: 2, Found: old}, one, false, 0, one, 2},
		"again after it was doubted": {NATBinding{Proven: one, Failed: two, Losses: 2}, one, true, one, two, 2},
	} {
		want := NATBinding{Proven: test.proven, Failed: test.fail, Losses: test.losses, Found: now}
		if got := test.before.tried(now, test.idle, test.kept); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	lost := NATBinding{Network: "here", Proven: one, Failed: two, Losses: 2, Found: fresh}.lost(now)
	if lost != (NATBinding{Network: "here", Losses: 3, Found: now}) {
		t.Errorf("after a loss: %+v", lost)
	}
}

// TestInterval: the interval is below what is proven, and between its limits.
func TestInterval(t *testing.T) {
	t.Parallel()
	for proven, want := range map[time.Duration]time.Duration{
		0: Default, 18 * time.Second: Default, 30 * time.Second: 25 * time.Second, 2 * time.Minute: 108 * time.Second, time.Hour: maxInterval,
	} {
		if got := (NATBinding{Proven: proven, Found: time.Now()}).interval(Default, maxInterval); got != want {
			t.Errorf("%v is proven: the interval is %v, want %v", proven, got, want)
		}
	}
	if got := (NATBinding{Proven: time.Minute}).interval(Default, maxInterval); got != Default {
		t.Errorf("what must be proven again has an interval of %v", got)
	}
	if got := (NATBinding{Proven: time.Minute, Found: time.Now()}).interval(8*time.Second, 0); got != 8*time.Second {
		t.Errorf("where nothing may be learned the interval is %v", got)
	}
}
