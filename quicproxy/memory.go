package quicproxy

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

const (
	// A write to a reader counts once it takes as long as waitingAfter: 64 KiB at 1.3 MB/s.
	waitingAfter = 50 * time.Millisecond
	// What waits in streams is looked at so often; under pressure also for somebody who has to go.
	lookEvery, lookWhileBusy, lookUnderPressure = 500 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond
	// What arrives meanwhile may cost so many times its size (unread.go), and a quarter of the room that was left may fill up with
	// it, but no less than leastAlarm, before the next look comes at once; not more often than each lookAtLeast.
	worstCost, leastAlarm, lookAtLeast = 14, 64 << 10, 5 * time.Millisecond
)

// memoryBudget has a program keep to its budget of memory. What it keeps for others, and what waits out of order, is
// counted as it comes, and who wants to read more from a TCP connection asks first. What waits in streams, where
// quic-go has put it, is found by looking.
type memoryBudget struct {
	*limit.Memory
	budget int64
	peer   *limit.Account         // of the other side, for what it costs beside relays; nil: each has one
	from   *limit.NetworkAccounts // of public clients' addresses, at a node
	log    *slog.Logger
	busy   chan struct{} // has room for one: there may be relays, or somebody waits

	arrived atomic.Int64  // bytes since the last look
	alarm   atomic.Int64  // how many of them there may be
	flood   chan struct{} // has room for one: there are more

	mu       sync.Mutex
	relays   map[*relay.Relay]*watchedRelay
	carriers map[*carrier]struct{}
	dialing  map[*dialing]struct{}
	reset    uint64 // how many relays were
}

// holder is who holds memory beside relays.
type holder interface {
	// endForMemory gives up what h counts: the budget is used up.
	endForMemory(h *limit.Holding, log *slog.Logger)
}

// relayName is what a relay is called in the log.
type relayName struct{ service, client string }

// watchedRelay is what the last look at a relay saw: bytes that wait for its TCP connection, and how many have gone there.
// look is its only user.
type watchedRelay struct {
	relayName
	waiting int
	written uint64
}

func newMemoryBudget(bytes int64, log *slog.Logger) *memoryBudget {
	b := &memoryBudget{
		Memory: limit.NewMemory(mayHold(bytes)), budget: bytes, log: log, busy: make(chan struct{}, 1), flood: make(chan struct{}, 1),
		relays: make(map[*relay.Relay]*watchedRelay), carriers: make(map[*carrier]struct{}), dialing: make(map[*dialing]struct{}),
	}
	b.peer, b.from = b.Account(1), limit.NewNetworkAccounts(b.Memory)
	b.alarm.Store(leastAlarm)
	return b
}

// receive notes bytes that came from the network.
func (b *memoryBudget) receive(bytes int) {
	if before := b.arrived.Add(int64(bytes)) - int64(bytes); before < b.alarm.Load() && before+int64(bytes) >= b.alarm.Load() {
		signal(b.flood)
	}
}

// mayHold is how many bytes may be held for the process to grow by its budget: the collector needs the rest (package heap),
// and buffers on their way.
func mayHold(budget int64) int64 { return budget - budget/8 - min(budget/4, 4<<20) }

// wait returns when it is worth to ask for room again.
func (b *memoryBudget) wait() {
	freed := b.Freed()
	signal(b.busy)
	<-freed
}

func (b *memoryBudget) add(r *relay.Relay, name relayName) {
	b.mu.Lock()
	b.relays[r] = &watchedRelay{relayName: name}
	b.mu.Unlock()
	signal(b.busy)
}

func (b *memoryBudget) remove(r *relay.Relay) {
	b.mu.Lock()
	delete(b.relays, r)
	b.mu.Unlock()
	r.Keeps.Close()
	r.Waits.Close()
}

// watch counts what a connection costs beside its relays, until forget.
func (b *memoryBudget) watch(c *carrier) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carriers[c] = struct{}{}
}

func (b *memoryBudget) forget(c *carrier) {
	b.mu.Lock()
	delete(b.carriers, c)
	b.mu.Unlock()
	c.waits.Close()
}

// Size is the budget, in bytes.
func (b *memoryBudget) Size() int64 { return b.budget }

// Running returns the relays that there are.
func (b *memoryBudget) Running() []*relay.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.relays))
}

func (b *memoryBudget) resets() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset
}

// run keeps to the budget until ctx ends. Who waits for room must not have it look more often than that.
func (b *memoryBudget) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	due, last := time.Now().Add(time.Hour), time.Now()
	for {
		pause := lookWhileBusy
		select {
		case <-timer.C:
			due, last = time.Now().Add(time.Hour), time.Now()
			pause = b.look()
			b.Retry()
			b.alarm.Store(max((b.Limit()-b.Used())/4/worstCost, leastAlarm))
			b.arrived.Store(0)
		case <-b.flood:
			pause = max(lookAtLeast-time.Since(last), 0)
		case <-b.busy:
		case <-ctx.Done():
			return
		}
		if b.Pressure() {
			pause = min(pause, lookUnderPressure)
		}
		if next := time.Now().Add(pause); next.Before(due) {
			due = next
			timer.Reset(pause)
		}
	}
}

// look finds what waits in streams, and ends what is too much. It returns when to look again.
func (b *memoryBudget) look() (pause time.Duration) {
	pause = time.Hour
	b.mu.Lock()
	if len(b.relays)+len(b.dialing) > 0 {
		pause = lookEvery
	}
	for c := range b.carriers {
		if c.look() {
			pause = lookWhileBusy
		}
	}
	for c := range b.dialing {
		c.look()
	}
	for r, watched := range b.relays {
		if watched.look(r) {
			pause = lookWhileBusy
		}
	}
	b.mu.Unlock()
	for _, h := range b.Excess() {
		switch owner := h.Owner.(type) {
		case *relay.Relay:
			b.end(owner, h)
		case holder:
			owner.endForMemory(h, b.log.With("budget", b.budget))
		}
	}
	return pause
}

// end resets a relay, to which h belongs.
func (b *memoryBudget) end(r *relay.Relay, h *limit.Holding) {
	bytes, age := h.Held()
	b.mu.Lock()
	watched, running := b.relays[r]
	if running && !r.Aborted() {
		b.reset++
	}
	b.mu.Unlock()
	if !running || r.Aborted() {
		return
	}
	what := "its reader does not read"
	if h == r.Keeps {
		what = "the other side does not confirm what it was sent"
	}
	b.log.Warn("a relay was reset because "+what+" and the memory budget is used up",
		"service", watched.service, "client", watched.client, "bytes", bytes, "waiting", age.Round(100*time.Millisecond), "budget", b.budget,
		"hint", "a larger --memory lets more readers wait")
	r.Abort(framing.ErrorRelayStalled)
}

// look notes what waits in the relay's stream and in the write to its TCP connection, and reports whether anything does.
func (w *watchedRelay) look(r *relay.Relay) bool {
	waits := 0
	if r.Writes() >= waitingAfter {
		waits = relay.Size
	}
	if stream, on := current(r.Stream()); stream != nil && (on.busy || waits+w.waiting > 0) {
		waits += unread(receivingHalf(stream))
	}
	written := r.ToTCP()
	if waits > 0 || w.waiting > 0 {
		r.Waits.Set(w.waiting, waits, int(written-w.written))
	}
	w.waiting, w.written = waits, written
	return waits > 0
}
