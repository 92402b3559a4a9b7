package carrier

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
)

const (
	// A write to a reader counts once it takes as long as waitingAfter: 64 KiB at 1.3 MB/s.
	waitingAfter = 50 * time.Millisecond
	// How often to check what waits in streams; under pressure the check also finds what must make room.
	lookEvery, lookWhileBusy, lookUnderPressure = 500 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond
	// What arrives before the next check may cost up to worstCost times its size (unread.go). The next check
	// comes at once when a quarter of the room that was left may be filled with it, or leastAlarm if that is
	// more, but no more often than every lookAtLeast.
	worstCost, leastAlarm, lookAtLeast = 14, 64 << 10, 5 * time.Millisecond
)

// Budget keeps a program within its memory budget. What the program keeps for others, and what waits out of
// order, is counted as it comes, and a relay that wants to read more from a TCP connection asks first. What
// waits in streams, where quic-go has put it, is found by looking.
type Budget struct {
	*memory.Accounts
	budget int64
	Peer   *memory.Account         // of the other side, for what it costs beside relays, at a node
	From   *memory.NetworkAccounts // of public clients' addresses, at a node
	log    *slog.Logger
	Busy   chan struct{} // has room for one: there may be relays, or a relay waits

	arrived atomic.Int64  // bytes since the last look
	alarm   atomic.Int64  // how many of them cause a check at once
	flood   chan struct{} // has room for one: that many came

	mu       sync.Mutex
	relays   map[*relay.Relay]*watchedRelay
	carriers map[*Conn]struct{}
	dialing  map[*dialing]struct{}
	reset    uint64 // how many relays were reset
}

// holder is something other than a relay that holds memory.
type holder interface {
	// EndForMemory frees what h counts: the budget is used up.
	EndForMemory(h *memory.Holding, log *slog.Logger)
}

// Name is what the log calls a relay.
type Name struct{ Service, Client string }

// watchedRelay is what the last check of a relay saw: bytes that wait for its TCP connection, and how many
// have gone there. Only look uses it.
type watchedRelay struct {
	Name
	waiting int
	written uint64
}

// NewBudget returns a Budget of that many bytes.
func NewBudget(bytes int64, log *slog.Logger) *Budget {
	b := &Budget{
		Accounts: memory.New(mayHold(bytes)), budget: bytes, log: log, Busy: make(chan struct{}, 1), flood: make(chan struct{}, 1),
		relays: make(map[*relay.Relay]*watchedRelay), carriers: make(map[*Conn]struct{}), dialing: make(map[*dialing]struct{}),
	}
	b.Peer, b.From = b.Account(1), memory.NewNetworkAccounts(b.Accounts)
	b.alarm.Store(leastAlarm)
	return b
}

// Receive notes bytes that came from the network.
func (b *Budget) Receive(bytes int) {
	if before := b.arrived.Add(int64(bytes)) - int64(bytes); before < b.alarm.Load() && before+int64(bytes) >= b.alarm.Load() {
		wait.Signal(b.flood)
	}
}

// mayHold returns how many bytes may be held so that the process grows by no more than its budget: the
// garbage collector needs the rest (package heap), and so do buffers in transit.
func mayHold(budget int64) int64 { return budget - budget/8 - min(budget/4, 4<<20) }

// Wait returns when asking for room again is worthwhile.
func (b *Budget) Wait() {
	freed := b.Freed()
	wait.Signal(b.Busy)
	<-freed
}

// Add starts watching a relay, until Remove.
func (b *Budget) Add(r *relay.Relay, name Name) {
	b.mu.Lock()
	b.relays[r] = &watchedRelay{Name: name}
	b.mu.Unlock()
	wait.Signal(b.Busy)
}

// Remove stops watching a relay, and frees what it held.
func (b *Budget) Remove(r *relay.Relay) {
	b.mu.Lock()
	delete(b.relays, r)
	b.mu.Unlock()
	r.Keeps.Close()
	r.Waits.Close()
}

// watch counts what a connection costs beside its relays, until Forget.
func (b *Budget) watch(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carriers[c] = struct{}{}
}

// Forget stops watching a connection.
func (b *Budget) Forget(c *Conn) {
	b.mu.Lock()
	delete(b.carriers, c)
	b.mu.Unlock()
	c.waits.Close()
}

// Size is the budget, in bytes.
func (b *Budget) Size() int64 { return b.budget }

// Running returns the watched relays.
func (b *Budget) Running() []*relay.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.relays))
}

// Resets returns how many relays were reset for lack of memory.
func (b *Budget) Resets() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset
}

// Run enforces the budget until ctx ends. Waiting relays must not make it check more often than that.
func (b *Budget) Run(ctx context.Context) {
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
		case <-b.Busy:
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

// look finds what waits in streams, and ends what is too much. It returns when to check again.
func (b *Budget) look() (pause time.Duration) {
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
			owner.EndForMemory(h, b.log.With("budget", b.budget))
		}
	}
	return pause
}

// end resets a relay, to which h belongs.
func (b *Budget) end(r *relay.Relay, h *memory.Holding) {
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
		what = "the other side does not ack what it was sent"
	}
	b.log.Warn("a relay was reset because "+what+" and the memory budget is used up",
		"service", watched.Service, "client", watched.Client, "bytes", bytes, "waiting", age.Round(100*time.Millisecond), "budget", b.budget,
		"hint", "a larger --memory lets more readers wait")
	r.Abort(framing.ErrorRelayStalled)
}

// look notes what waits in the relay's stream and in the write to its TCP connection, and reports whether
// anything does.
func (w *watchedRelay) look(r *relay.Relay) bool {
	waits := 0
	if r.Writes() >= waitingAfter {
		waits = buffer.Size
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
