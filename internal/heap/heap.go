// Package heap keeps the collector from doubling what a program holds for others. It is for programs; a library leaves the
// collector alone.
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
	// minSpare is what the heap may always grow by before the collector runs, and small is how much of it is collected so
	// soon that it needs no more.
	minSpare, small = 2 << 20, 4 << 20
	// spareOf is the part of what is held by which the heap may grow because of it.
	spareOf = 16
)

// Follow has the collector run, and memory that is free go back to the system, before the heap has grown by as much
// as there is, if much of that is bytes that are held for others: they are no garbage soon, and have no pointers, so that
// looking at them costs nothing, while a heap of twice their size is what the machine may not have. held says how many bytes
// there are. It is asked after each collection, so nothing wakes up. Settings in the environment (GOGC, GOMEMLIMIT) stay.
// Follow ends with stop.
func Follow(held func() int64) (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	f := &follower{held: held, limit: unlimited}
	f.again()
	return func() { f.stopped.Store(true) }
}

type follower struct {
	held    func() int64
	before  int64 // what was held after the collection before
	limit   int64
	stopped atomic.Bool
}

// again has adjust called after the next collection, which finds that nothing needs the cycle.
func (f *follower) again() {
	cycle := &struct{ _ [16]byte }{}
	runtime.AddCleanup(cycle, (*follower).adjust, f)
}

func (f *follower) adjust() {
	limit := int64(unlimited)
	if !f.stopped.Load() {
		held := f.held()
		// What was given back since is no garbage yet: it waits in a pool.
		limit = limitFor(read(), max(held, f.before))
		f.before = held
		f.again()
	}
	if limit != f.limit {
		debug.SetMemoryLimit(limit)
		f.limit = limit
	}
}

// usage is what Go has from the system.
type usage struct {
	live  int64 // bytes of the heap that the last collection found to be in use
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

// limitFor is how much memory the program may have until the next collection.
func limitFor(u usage, held int64) int64 {
	if held < max(minSpare, u.live/spareOf) {
		return unlimited
	}
	spare := max(u.live-held-small, minSpare) + held/spareOf
	return u.live + u.other + spare
}
