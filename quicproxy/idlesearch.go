package quicproxy

import "time"

// maxKeepalive is the longest interval that is ever learned: what a node does not notice for so long, such as
// a path that died, a person may have to wait for.
const maxKeepalive = 5 * time.Minute

// idleSteps are the idle times that are tried, one after the other, until one is too long. They are the
// timeouts that NATs have, and twice what is proven at most, so that a failure costs little.
var idleSteps = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute}

// margin is how much earlier than proven a keepalive is sent: timers of NATs are coarse.
func margin(proven time.Duration) time.Duration { return max(5*time.Second, proven/10) }

// enough is the idle time that has to be proven for an interval.
func enough(interval time.Duration) time.Duration {
	least := max(interval+5*time.Second, interval*10/9) + time.Second
	return min(least.Truncate(time.Second), idleSteps[len(idleSteps)-1])
}

// nextIdle is the idle time to try in the search for the longest that is proven; ok is false when it is known
// well enough, or as long as anybody wants.
func (n Network) nextIdle(want time.Duration) (idle time.Duration, ok bool) {
	if n.Proven >= want || n.Failed > 0 && (n.Failed <= idleSteps[0] || n.Failed-n.Proven <= n.Failed/4) {
		return 0, false
	}
	for _, step := range idleSteps {
		if step = min(step, want); step > n.Proven && (n.Failed == 0 || step < n.Failed) {
			return step, true
		}
	}
	return ((n.Proven + n.Failed) / 2).Truncate(time.Second), true
}

// tried is the network after a try.
func (n Network) tried(idle time.Duration, kept bool, now time.Time) Network {
	n.Found = now
	switch {
	case kept:
		n.Proven = idle
		if n.Failed <= idle {
			n.Failed = 0
		}
	case idle <= n.Proven: // it was, and is no more
		n.Proven, n.Failed = 0, idle
	default:
		n.Failed = idle
	}
	return n
}
