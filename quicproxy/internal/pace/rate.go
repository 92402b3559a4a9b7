package pace

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// burstTime is how much of the time before counts: so long a rate may be left unused without loss.
	burstTime = 100 * time.Millisecond
	// chunksPerSecond and minChunk are how much at once a share should move: little enough that the others and
	// the clock notice no difference, and so much that it wakes up seldom.
	chunksPerSecond, minChunk = 20, 1 << 10
)

// Rate is a number of bytes per second that shares divide among each other: a token bucket, which is given to those
// who wait by fair queueing in virtual time (https://doi.org/10.1145/248156.248171, by finish tags). So each share that
// always has bytes to move gets the same, and one with less than that waits for no more than what another one moves at
// once. The zero value is without a limit.
type Rate struct {
	chunk atomic.Int64 // 0: there is no limit

	mu        sync.Mutex
	perSecond float64 // bytes; 0: there is no limit
	tokens    float64 // bytes that may be moved at once; less than 0: as many were moved too early
	counted   time.Time
	virtual   int64 // time in bytes of each share: where the share that was last served had begun
	waiting   queue
	timer     *time.Timer // runs while somebody waits
}

// Set changes the rate to bytes per second; 0: no limit. Those who wait do so at the new rate.
func (r *Rate) Set(perSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if float64(perSecond) == r.perSecond {
		return
	}
	now := time.Now()
	if r.perSecond == 0 {
		r.tokens, r.counted = math.Inf(1), now // the whole burst
	}
	r.perSecond = float64(perSecond)
	if perSecond == 0 {
		r.chunk.Store(0)
	} else {
		r.chunk.Store(max(perSecond/chunksPerSecond, minChunk))
	}
	r.serveLocked(now)
}

// Limited reports whether there is a limit.
func (r *Rate) Limited() bool { return r.chunk.Load() > 0 }

// refillLocked adds the bytes for the time since it was last called.
func (r *Rate) refillLocked(now time.Time) {
	if elapsed := now.Sub(r.counted); elapsed > 0 {
		r.tokens, r.counted = r.tokens+elapsed.Seconds()*r.perSecond, now
	}
	r.tokens = min(r.tokens, r.perSecond*burstTime.Seconds())
}

// serveLocked lets those go on who may, and has the timer call again for the others.
func (r *Rate) serveLocked(now time.Time) {
	r.refillLocked(now)
	for len(r.waiting) > 0 && (r.tokens >= 0 || r.perSecond == 0) {
		s := heap.Pop(&r.waiting).(*Share)
		r.virtual = max(r.virtual, s.start)
		r.tokens -= float64(s.bytes)
		s.goOn <- struct{}{}
	}
	if len(r.waiting) == 0 {
		return
	}
	// A nanosecond more, so that rounding does not make the timer find a token missing.
	wait := time.Duration(-r.tokens/r.perSecond*float64(time.Second)) + 1
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, r.serve)
	} else {
		r.timer.Reset(wait)
	}
}

func (r *Rate) serve() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serveLocked(time.Now())
}
