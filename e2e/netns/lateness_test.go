//go:build linux

package netns

import (
	"sync"
	"testing"
	"time"
)

// lateness is when a busy machine woke late who slept: so much of a stall at that time is not the tunnel's.
type lateness struct {
	stop    chan struct{}
	stopped chan struct{}

	mu    sync.Mutex
	times []lateTime
}

type lateTime struct{ due, woken time.Time }

// watchLateness watches until the test ends.
func watchLateness(t *testing.T) *lateness {
	const nap = 10 * time.Millisecond
	l := &lateness{stop: make(chan struct{}), stopped: make(chan struct{})}
	t.Cleanup(func() { t.Logf("the machine was late itself by up to %v", l.end()) })
	go func() {
		defer close(l.stopped)
		for {
			due := time.Now().Add(nap)
			select {
			case <-time.After(nap):
			case <-l.stop:
				return
			}
			if woken := time.Now(); woken.Sub(due) > nap {
				l.mu.Lock()
				l.times = append(l.times, lateTime{due, woken})
				l.mu.Unlock()
			}
		}
	}()
	return l
}

// during sums up the lateness between two moments.
func (l *lateness) during(begin, end time.Time) (late time.Duration) {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.times) - 1; i >= 0 && l.times[i].woken.After(begin); i-- {
		from, to := l.times[i].due, l.times[i].woken
		if from.Before(begin) {
			from = begin
		}
		if to.After(end) {
			to = end
		}
		late += max(to.Sub(from), 0)
	}
	return late
}

// end ends watching, and returns by how much the machine was late at most.
func (l *lateness) end() (most time.Duration) {
	close(l.stop)
	<-l.stopped
	for _, t := range l.times {
		most = max(most, t.woken.Sub(t.due))
	}
	return most
}

// TestLateness: only what overlaps counts.
func TestLateness(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	l := &lateness{times: []lateTime{{at(10), at(12)}, {at(20), at(21)}, {at(30), at(40)}}}
	for _, test := range []struct{ begin, end, want int }{
		{0, 10, 0}, {0, 11, 1}, {0, 50, 13}, {11, 31, 3}, {12, 20, 0}, {35, 36, 1}, {41, 50, 0},
	} {
		if got := l.during(at(test.begin), at(test.end)); got != time.Duration(test.want)*time.Second {
			t.Errorf("from %d to %d: %v, want %d s", test.begin, test.end, got, test.want)
		}
	}
}
