package keepalive

import "time"

const (
	// Default is the interval while nothing is proven: shorter than the timeout of any reasonable NAT.
	Default = 15 * time.Second
	// maxInterval is the longest interval ever learned. A node may not notice a dead path for that long, and
	// a person may have to wait for it.
	maxInterval = 5 * time.Minute
	// provenFor is how long what was found about a NAT is trusted.
	provenFor = 7 * 24 * time.Hour
	// After the loss of a mapping that should have been kept, the search waits, each time twice as long.
	firstLossPause, maxLossPause = 10 * time.Minute, 24 * time.Hour
)

// idleSteps are the idle times tried, one after the other, until one is too long. They are common NAT
// timeouts, each at most twice the one before, so that a failure costs little.
var idleSteps = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute}

// NATBinding is how long the NAT of one network keeps an idle connection's mapping, as far as a node knows.
type NATBinding struct {
	// Network identifies it: the public address of the NAT and the node's own.
	Network string
	// Proven is the longest idle time after which the NAT still had a mapping, Failed the shortest after
	// which it had none; 0: unknown.
	Proven, Failed time.Duration
	// Found is when that was found; zero: it must be proven again before it is used.
	Found time.Time
	// Losses is how many mappings were nevertheless lost since then.
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

// enough is the idle time that must be proven for an interval.
func enough(interval time.Duration) time.Duration {
	least := max(interval+5*time.Second, interval*10/9) + time.Second
	return min(least.Truncate(time.Second), idleSteps[len(idleSteps)-1])
}

// plan is the idle time to try next and how long to wait first, for intervals of at most most.
func (b NATBinding) plan(now time.Time, most time.Duration) (idle, wait time.Duration) {
	want := enough(most)
	stale := b.stale(now)
	idle, more := b.nextIdle(want)
	switch {
	case b.Losses > 0 && b.Proven == 0 && b.Failed == 0:
		if age := now.Sub(b.Found); age >= 0 { // otherwise a clock is or was wrong
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

// stale reports whether b is too old to be trusted.
func (b NATBinding) stale(now time.Time) bool {
	age := now.Sub(b.Found)
	return age < 0 || age >= provenFor // in the future: a clock is or was wrong
}

// nextIdle is the next idle time to try in the search for the longest; ok is false when that is known well
// enough, or is as long as wanted.
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
	case again: // the search continues upwards: the NAT may be another one
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

// lost is what is known after a connection's mapping was lost: nothing proven holds any longer.
func (b NATBinding) lost(now time.Time) NATBinding {
	return NATBinding{Network: b.Network, Losses: b.Losses + 1, Found: now}
}

func lossPause(losses int) time.Duration {
	return min(firstLossPause<<min(losses-1, 10), maxLossPause)
}
