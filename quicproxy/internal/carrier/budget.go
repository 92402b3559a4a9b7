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
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
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

// Budget has a program keep to its budget of memory. What it keeps for others, and what waits out of order, is
// counted as it comes, and who wants to read more from a TCP connection asks first. What waits in streams, where
// quic-go has put it, is found by looking.
type Budget struct {
	*limit.Memory
	budget int64
	Peer   *limit.Account         // of the other side, for what it costs beside relays; nil: each has one
	From   *limit.NetworkAccounts // of public clients' addresses, at a node
	log    *slog.Logger
	Busy   chan struct{} // has room for one: there may be relays, or somebody waits

	arrived atomic.Int64  // bytes since the last look
	alarm   atomic.Int64  // how many of them there may be
	flood   chan struct{} // has room for one: there are more

	mu       sync.Mutex
	relays   map[*relay.Relay]*watchedRelay
	carriers map[*Conn]struct{}
	dialing  map[*dialing]struct{}
	reset    uint64 // how many relays were
}

// holder is who holds memory beside relays.
type holder interface {
	// EndForMemory gives up what h counts: the budget is used up.
	EndForMemory(h *limit.Holding, log *slog.Logger)
}

// Name is what a relay is called in the log.
type Name struct{ Service, Client string }

// watchedRelay is what the last look at a relay saw: bytes that wait for its TCP connection, and how many have gone there.
// look is its only user.
type watchedRelay struct {
	Name
	waiting int
	written uint64
}

func NewBudget(bytes int64, log *slog.Logger) *Budget {
	b := &Budget{
		Memory: limit.NewMemory(mayHold(bytes)), budget: bytes, log: log, Busy: make(chan struct{}, 1), flood: make(chan struct{}, 1),
		relays: make(map[*relay.Relay]*watchedRelay), carriers: make(map[*Conn]struct{}), dialing: make(map[*dialing]struct{}),
	}
	b.Peer, b.From = b.Account(1), limit.NewNetworkAccounts(b.Memory)
	b.alarm.Store(leastAlarm)
	return b
}

// Receive notes bytes that came from the network.
func (b *Budget) Receive(bytes int) {
	if before := b.arrived.Add(int64(bytes)) - int64(bytes); before < b.alarm.Load() && before+int64(bytes) >= b.alarm.Load() {
		wait.Signal(b.flood)
	}
}

// mayHold is how many bytes may be held for the process to grow by its budget: the collector needs the rest (package heap),
// and buffers on their way.
func mayHold(budget int64) int64 { return budget - budget/8 - min(budget/4, 4<<20) }

// Wait returns when it is worth to ask for room again.
func (b *Budget) Wait() {
	freed := b.Freed()
	wait.Signal(b.Busy)
	<-freed
}

func (b *Budget) Add(r *relay.Relay, name Name) {
	b.mu.Lock()
	b.relays[r] = &watchedRelay{Name: name}
	b.mu.Unlock()
	wait.Signal(b.Busy)
}

func (b *Budget) Remove(r *relay.Relay) {
	b.mu.Lock()
	delete(b.relays, r)
	b.mu.Unlock()
	r.Keeps.Close()
	r.Waits.Close()
}

// watch counts what a connection costs beside its relays, until forget.
func (b *Budget) watch(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carriers[c] = struct{}{}
}

func (b *Budget) Forget(c *Conn) {
	b.mu.Lock()
	delete(b.carriers, c)
	b.mu.Unlock()
	c.waits.Close()
}

// Size is the budget, in bytes.
func (b *Budget) Size() int64 { return b.budget }

// Running returns the relays that there are.
func (b *Budget) Running() []*relay.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.relays))
}

func (b *Budget) Resets() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset
}

// Run keeps to the budget until ctx ends. Who waits for room must not have it look more often than that.
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

// look finds what waits in streams, and ends what is too much. It returns when to look again.
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
func (b *Budget) end(r *relay.Relay, h *limit.Holding) {
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
		"service", watched.Service, "client", watched.Client, "bytes", bytes, "waiting", age.Round(100*time.Millisecond), "budget", b.budget,
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
