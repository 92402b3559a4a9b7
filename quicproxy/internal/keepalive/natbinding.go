package keepalive

import "time"

const (
	// Default is the interval while nothing is proven: shorter than the timeout of any NAT worth the name.
	Default = 15 * time.Second
	// maxInterval is the longest interval that is ever learned: what a node does not notice for so long, such as a path that
	// died, a person may have to wait for.
	maxInterval = 5 * time.Minute
	// provenFor is how long a NAT is trusted to be what it was found to be.
	provenFor = 7 * 24 * time.Hour
	// After a mapping was lost that should have been kept, the search waits, each time for twice as long.
	firstLossPause, maxLossPause = 10 * time.Minute, 24 * time.Hour
)

// idleSteps are the idle times that are tried, one after the other, until one is too long. They are the timeouts that NATs
// have, and twice what is proven at most, so that a failure costs little.
var idleSteps = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute}

// NATBinding is how long the NAT of one network keeps the mapping of an idle connection, as far as a node knows.
type NATBinding struct {
	// Network tells it from others: the public address of the NAT and the node's own.
	Network string
	// Proven is the longest idle time after which the NAT still had a mapping, Failed the shortest after which it had
	// none; 0: not known.
	Proven, Failed time.Duration
	// Found is when that was found out; zero: it must be proven again before it is used.
	Found time.Time
	// Losses is how many mappings were lost since all the same.
	Losses int
}

// interval is the time between two keepalives that the NAT allows, within the given limits.
func (b NATBinding) interval(least, most time.Duration) time.Duration {
	if b.Found.IsZero() {
		return least
	}
	return max(least, min(b.Proven-margin(b.Proven), most))
}

// margin is how much earlier than proven a keepalive is sent: timers of NATs are coarse.
func margin(proven time.Duration) time.Duration { return max(5*time.Second, proven/10) }

// enough is the idle time that has to be proven for an interval.
func enough(interval time.Duration) time.Duration {
	least := max(interval+5*time.Second, interval*10/9) + time.Second
	return min(least.Truncate(time.Second), idleSteps[len(idleSteps)-1])
}

// plan is the idle time to try next, and how long to wait before, for intervals of most at the longest.
func (b NATBinding) plan(now time.Time, most time.Duration) (idle, wait time.Duration) {
	want := enough(most)
	stale := b.stale(now)
	idle, more := b.nextIdle(want)
	switch {
	case b.Losses > 0 && b.Proven == 0 && b.Failed == 0:
		if age := now.Sub(b.Found); age >= 0 { // else a clock is or was wrong
			wait = max(lossPause(b.Losses)-age, 0)
		}
		return idle, wait
	case b.Proven > 0 && stale:
		return min(b.Proven, want), 0
	case !more && stale:
		return idleSteps[0], 0
	case !more:
		return 0, provenFor - now.Sub(b.Found)
	}
	return idle, 0
}

// stale reports whether b is too old to be believed.
func (b NATBinding) stale(now time.Time) bool {
	age := now.Sub(b.Found)
	return age < 0 || age >= provenFor // before now: a clock is or was wrong
}

// nextIdle is the idle time to try in the search for the longest that is proven; ok is false when it is known well enough,
// or as long as anybody wants.
func (b NATBinding) nextIdle(want time.Duration) (idle time.Duration, ok bool) {
	if b.Proven >= want || b.Failed > 0 && (b.Failed <= idleSteps[0] || b.Failed-b.Proven <= b.Failed/4) {
		return 0, false
	}
	for _, step := range idleSteps {
		if step = min(step, want); step > b.Proven && (b.Failed == 0 || step < b.Failed) {
			return step, true
		}
	}
	return ((b.Proven + b.Failed) / 2).Truncate(time.Second), true
}

// tried is what is known after a try.
func (b NATBinding) tried(now time.Time, idle time.Duration, kept bool) NATBinding {
	again := kept && b.stale(now) && !b.Found.IsZero()
	b.Found = now
	switch {
	case again: // the search goes on upwards: the NAT may be another one
		b.Proven, b.Failed, b.Losses = idle, 0, 0
	case kept:
		b.Proven = idle
		if b.Failed <= idle {
			b.Failed = 0
		}
	case idle <= b.Proven: // it was kept, and is no longer
		b.Proven, b.Failed = 0, idle
	default:
		b.Failed = idle
	}
	return b
}

// lost is what is known after the mapping of a connection was lost: nothing that was proven holds.
func (b NATBinding) lost(now time.Time) NATBinding {
	return NATBinding{Network: b.Network, Losses: b.Losses + 1, Found: now}
}

func lossPause(losses int) time.Duration {
	return min(firstLossPause<<min(losses-1, 10), maxLossPause)
}
