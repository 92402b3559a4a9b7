// Package histogram counts how long things take. A duration costs two atomic additions.
//
// It must not know what took so long.
package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"

	"apquic/quicproxy/live"
)

// The bounds are powers of two: 1 ms, 2 ms, and so on to 18.6 hours.
const (
	least  = time.Millisecond
	bounds = 27
)

// Durations counts durations. The zero value has none.
type Durations struct {
	counts [bounds + 1]atomic.Uint64 // the last one is of those that are longer than all bounds
	sum    atomic.Uint64             // in microseconds: nanoseconds of many that run at once overflow within weeks
}

// Add counts one.
func (h *Durations) Add(d time.Duration) {
	d = max(d, 1)
	h.counts[min(bits.Len64(uint64((d-1)/least)), bounds)].Add(1)
	h.sum.Add(uint64(d / time.Microsecond))
}

// Now returns what was counted so far.
func (h *Durations) Now() live.Histogram {
	told := live.Histogram{Bounds: make([]float64, bounds), Counts: make([]uint64, bounds+1), Sum: float64(h.sum.Load()) / 1e6}
	for i := range h.counts {
		told.Counts[i] = h.counts[i].Load()
	}
	for i := range told.Bounds {
		told.Bounds[i] = (least << i).Seconds()
	}
	return told
}
