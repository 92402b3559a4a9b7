package quicproxy

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/internal/machine"
)

const (
	// defaultMemoryShare is the part of the machine's memory that is the budget by default, and minNodeMemory
	// the least of it at a node.
	defaultMemoryShare = 8
	minNodeMemory      = 64 << 20

	// A relay counts once a write to its reader takes as long as waitingAfter: 64 KiB at 1.3 MB/s. It can be reset
	// when one takes as long as stalledAfter.
	waitingAfter = 50 * time.Millisecond
	stalledAfter = 250 * time.Millisecond
	sweepEvery   = 500 * time.Millisecond
	// keptUntold is for how long what was sent does not count: the other side does not tell at once that it has it.
	keptUntold = 3 * lazily
)

// memoryBudget bounds what readers cost that do not read: what came for them waits in their streams, and what was sent
// to them is kept until they have it. When all of them together are above the limit, the one that has not read for
// longest loses its relay.
type memoryBudget struct {
	limit int64 // bytes
	log   *slog.Logger
	begin time.Time
	busy  chan struct{} // has room for one: there may be relays

	mu     sync.Mutex
	relays map[*relay]relayName
	reset  uint64 // how many were
}

// relayName is what a relay is called in the log.
type relayName struct{ service, client string }

func newMemoryBudget(limit int64, log *slog.Logger) *memoryBudget {
	return &memoryBudget{
		limit: limit, log: log, begin: time.Now(),
		busy: make(chan struct{}, 1), relays: make(map[*relay]relayName),
	}
}

// now is a monotonic time that fits into an atomic; never 0.
func (b *memoryBudget) now() int64 { return int64(time.Since(b.begin)) + 1 }

func (b *memoryBudget) add(r *relay, name relayName) {
	b.mu.Lock()
	b.relays[r] = name
	b.mu.Unlock()
	signal(b.busy)
}

func (b *memoryBudget) remove(r *relay) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.relays, r)
}

func (b *memoryBudget) resets() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset
}

// run keeps to the budget until ctx ends.
func (b *memoryBudget) run(ctx context.Context) {
	for {
		select {
		case <-b.busy:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && b.sweep() {
			sleep(ctx, sweepEvery)
		}
	}
}

// stalled is a relay whose reader does not read.
type stalled struct {
	*relay
	name  relayName
	held  int64         // bytes, at most
	since time.Duration // how long it has not
}

// sweep resets what is too much and reports whether there are relays.
func (b *memoryBudget) sweep() bool {
	b.mu.Lock()
	now, running := b.now(), len(b.relays) > 0
	var total int64
	var worst []stalled
	for r, name := range b.relays {
		held, waits := r.held(now)
		if waits < waitingAfter {
			continue
		}
		total += held
		if waits >= stalledAfter {
			worst = append(worst, stalled{r, name, held, waits})
		}
	}
	b.mu.Unlock()
	if total <= b.limit {
		return running
	}
	slices.SortFunc(worst, func(a, b stalled) int { return cmp.Compare(b.since, a.since) })
	for _, s := range worst {
		if total <= b.limit {
			break
		}
		total -= s.held
		b.log.Warn("a relay was reset because its reader does not read and the memory budget is used up",
			"service", s.name.service, "client", s.name.client, "stalled", s.since.Round(time.Second), "budget", b.limit,
			"hint", "a larger --memory lets more readers wait")
		s.abort(framing.ErrorRelayStalled)
		b.mu.Lock()
		b.reset++
		b.mu.Unlock()
	}
	return running
}

// held is the most that may wait in a relay for a reader, on this side or on the other, and for how long. sweep is its
// only user.
func (r *relay) held(now int64) (bytes int64, waits time.Duration) {
	if begun := r.writing.Load(); begun != 0 {
		bytes, waits = r.window.size.Load()+copySize, time.Duration(now-begun)
	}
	if r.out == nil {
		return bytes, waits
	}
	if position := r.in.Position(); position != r.seen || r.seenSince.IsZero() {
		r.seen, r.seenSince = position, time.Now()
	}
	if waiting := r.in.Held(); waiting > 0 {
		bytes, waits = bytes+int64(waiting), max(waits, time.Since(r.seenSince))
	}
	if kept, since := r.out.Unreceived(); kept > 0 && time.Since(since) > keptUntold {
		bytes, waits = bytes+int64(kept), max(waits, time.Since(since))
	}
	return bytes, waits
}

// windowSize follows the size of a stream's receive window, which quic-go does not tell.
type windowSize struct {
	size atomic.Int64

	// The copying goroutine's.
	read  int64     // since the epoch began
	epoch time.Time // zero: nothing was read yet
}

// add counts bytes read, as quic-go does (maybeAdjustWindowSize of its flow_controller_base.go), but allows twice
// the time for the next larger window: the estimate must not be too low.
func (w *windowSize) add(n int, rtt func() time.Duration) {
	if w.epoch.IsZero() {
		w.epoch = time.Now()
	}
	w.read += int64(n)
	size := w.size.Load()
	if w.read <= size/2 {
		return
	}
	now, fraction := time.Now(), float64(w.read)/float64(size)
	if now.Sub(w.epoch) < time.Duration(2*4*fraction*float64(rtt())) {
		w.size.Store(min(2*size, maxStreamWindow))
	}
	w.read, w.epoch = 0, now
}

// rtt is the round trip time of the relay's connection.
func (r *relay) rtt() time.Duration { return r.carrier.quic.ConnectionStats().SmoothedRTT }

// defaultMemory is the budget if none is given.
func defaultMemory() int64 { return machine.Memory() / defaultMemoryShare }
