//go:build linux

package netns

import (
	"sync"
	"time"
)

// meter remembers when bytes arrived.
type meter struct {
	mu      sync.Mutex
	total   int64
	begin   time.Time // of what is measured
	first   time.Time // the first arrival since begin; zero before it
	last    time.Time // the last arrival, or begin
	longest time.Duration
	machine *lateness     // by how much the machine itself was late does not count; nil: everything does
	arrived chan struct{} // closed at the first arrival since begin
}

func newMeter() *meter {
	m := new(meter)
	m.restart()
	return m
}

// restart begins to measure.
func (m *meter) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin = time.Now()
	m.first, m.last, m.longest = time.Time{}, m.begin, 0
	m.arrived = make(chan struct{})
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.total += int64(n)
	m.longest = max(m.longest, now.Sub(m.last)-m.machine.during(m.last, now))
	m.last = now
	if m.first.IsZero() {
		m.first = now
		close(m.arrived)
	}
}

// stall is the longest time without an arrival so far, and the length of the present one.
func (m *meter) stall() (longest, present time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	present = time.Since(m.last)
	return max(m.longest, present), present
}

// toFirst is the time from begin to the first arrival, for which the caller waited, and when that was.
func (m *meter) toFirst() (took time.Duration, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first.Sub(m.begin), m.first
}

func (m *meter) firstArrival() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.arrived
}
