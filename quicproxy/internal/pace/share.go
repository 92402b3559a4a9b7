package pace

import (
	"container/heap"
	"math"
	"time"
)

// mostEarly is how many chunks may be moved too early by those who may not wait.
const mostEarly = 4

// Share is the part of a Rate that one direction of a relay, or of a flow, has. All its methods may be called on nil, which has no
// limit. One goroutine at a time may call Moved.
type Share struct {
	rate *Rate

	// Guarded by the lock of rate.
	goOn     chan struct{} // has room for one; nil: it never waited
	finish   int64         // where in virtual time its last bytes end
	start    int64         // where those begin that it waits for
	bytes    int           // how many these are
	index    int           // in rate.waiting; -1: it does not wait
	released bool
}

// Share returns a share of the rate; nil: there is no limit now.
func (r *Rate) Share() *Share {
	if !r.Limited() {
		return nil
	}
	s := r.Datagrams()
	return &s
}

// Datagrams returns a share that keeps to whatever limit there is when it takes something.
func (r *Rate) Datagrams() Share { return Share{rate: r, index: -1} }

// Chunk is how many bytes to move at once at most.
func (s *Share) Chunk() int {
	if s == nil {
		return math.MaxInt
	}
	if chunk := s.rate.chunk.Load(); chunk > 0 {
		return int(min(chunk, math.MaxInt))
	}
	return math.MaxInt
}

// Moved books n bytes that were moved, and waits until it is the turn of the next ones.
func (s *Share) Moved(n int) {
	if s == nil || n == 0 || !s.rate.Limited() {
		return
	}
	if s.enter(n) {
		<-s.goOn
	}
}

// enter reports whether s has to wait for the turn of n bytes.
func (s *Share) enter(n int) (wait bool) {
	r := s.rate
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perSecond == 0 {
		return false
	}
	s.start, s.bytes = max(r.virtual, s.finish), n
	s.finish = s.start + int64(n)
	if s.released {
		r.tokens -= float64(n)
		return false
	}
	if s.goOn == nil {
		s.goOn = make(chan struct{}, 1)
	}
	heap.Push(&r.waiting, s)
	if len(r.waiting) > 1 {
		return true // the timer runs
	}
	r.serveLocked(time.Now())
	return true
}

// Take is for what is dropped rather than kept waiting: it reports whether n bytes may be moved now, and books them.
// A share that has had less than others may while one with more may not.
func (s *Share) Take(n int) bool {
	if s == nil || !s.rate.Limited() {
		return true
	}
	r := s.rate
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refillLocked(time.Now())
	chunk := r.chunk.Load()
	free := r.tokens >= 0 && len(r.waiting) == 0
	behind := s.finish <= r.virtual && r.tokens > -mostEarly*float64(chunk)
	if r.perSecond > 0 && !free && !behind {
		return false
	}
	start := max(s.finish, r.virtual-chunk) // what it did not get meanwhile it may catch up on, up to a chunk
	s.finish = start + int64(n)
	r.virtual = max(r.virtual, start)
	r.tokens -= float64(n)
	return true
}

// Release ends a wait, and those to come: what is moved from now on is booked at once, and others wait for it.
func (s *Share) Release() {
	if s == nil {
		return
	}
	r := s.rate
	r.mu.Lock()
	defer r.mu.Unlock()
	s.released = true
	if s.index >= 0 {
		heap.Remove(&r.waiting, s.index)
		r.tokens -= float64(s.bytes)
		s.goOn <- struct{}{}
	}
}

// queue is a heap of the shares that wait, those first whose bytes end first.
type queue []*Share

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].finish < q[j].finish }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(s any) {
	s.(*Share).index = len(*q)
	*q = append(*q, s.(*Share))
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.index = -1
	return s
}
