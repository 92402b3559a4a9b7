// Package heap keeps the garbage collector from doubling what a program holds for others. It is for programs:
// a library must leave the collector alone.
package heap

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// unlimited is Go's own setting: the heap may double between two collections.
	unlimited = math.MaxInt64
	// minSpare is how much the heap may always grow before the collector runs, and a heap below small is
	// collected so quickly that it needs no more. Above that it may grow by half while bytes are held: one
	// that was idle has not grown by what Go allows.
	minSpare, small = 2 << 20, 4 << 20
	// spareOf: the heap may grow by one part in spareOf of what is held because of it.
	spareOf = 16
	// followFrom is how much must be held for the collector to be hurried. A few connections that come and go hold
	// two MiB for a moment; collecting for those cost each new connection a fifth more CPU.
	followFrom = 4 << 20
	// leastHeld: so much always counts as held, since it may come before the next collection.
	leastHeld = 8 << 20
)

// Follow makes the collector run, and return free memory to the system, before the heap doubles, if much of
// the heap is bytes held for others. Those will not be garbage soon and have no pointers, so scanning them
// costs nothing, while the machine may not have room for a heap of twice their size. peak says how many bytes
// were held at most since it was last asked. It is asked after each collection, so no timer is needed.
// Settings in the environment (GOGC, GOMEMLIMIT) take precedence. Follow ends with stop.
func Follow(peak func() int64) (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	f := &follower{peak: peak, limit: unlimited}
	f.again()
	return func() { f.stopped.Store(true) }
}

type follower struct {
	peak    func() int64
	before  int64 // what it said after the previous collection
	limit   int64
	stopped atomic.Bool
}

// again makes the next collection, which finds the cycle unreachable, call adjust.
func (f *follower) again() {
	cycle := &struct{ _ [16]byte }{}
	runtime.AddCleanup(cycle, (*follower).adjust, f)
}

func (f *follower) adjust() {
	limit := int64(unlimited)
	if !f.stopped.Load() {
		peak := f.peak()
		// What was released since the previous collection is not garbage yet: it is in a pool.
		limit = limitFor(read(), max(peak, f.before))
		f.before = peak
		f.again()
	}
	if limit != f.limit {
		debug.SetMemoryLimit(limit)
		f.limit = limit
	}
}

// usage is the memory that Go has from the system.
type usage struct {
	live  int64 // bytes of the heap that the last collection found in use
	other int64 // bytes beside objects and free pages: stacks, and what the runtime needs
}

func read() usage {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return usage{live: n(0), other: n(1) - n(2) - n(3) - n(4)}
}

// limitFor is how much memory the program may use until the next collection.
func limitFor(u usage, held int64) int64 {
	if held < max(followFrom, u.live/spareOf) {
		return unlimited
	}
	rest := max(u.live-held, 0)
	held = max(held, leastHeld)
	return u.other + rest + max((rest-small)/2, minSpare) + held + held/spareOf
}
