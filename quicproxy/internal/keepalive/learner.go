package keepalive

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// maxBindings is how many networks a node remembers.
const maxBindings = 64

// Store remembers NATBindings across restarts of a node. Losing them costs only some traffic. Save gets all
// of them, the most recently found last.
type Store interface {
	Load() ([]NATBinding, error)
	Save([]NATBinding) error
}

// Learner is what a node knows about the NATs it has been behind. The Schedules of its connections share it.
type Learner struct {
	store Store // nil: in memory only
	log   *slog.Logger

	saving sync.Mutex // held while store writes, so that newer data is written later; taken before mu

	mu       sync.Mutex
	bindings []NATBinding // the most recently found last
	unsaved  bool
	trying   bool // a connection is trying an idle time
}

// NewLearner returns a Learner that knows nothing. store may be nil.
func NewLearner(store Store, log *slog.Logger) *Learner {
	return &Learner{store: store, log: log}
}

// Load reads what the store has.
func (l *Learner) Load() {
	if l.store == nil {
		return
	}
	bindings, err := l.store.Load()
	if err != nil {
		l.log.Warn("what was learned about keepalives cannot be read; it will be learned again", "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bindings = bindings[max(0, len(bindings)-maxBindings):]
}

// save writes what has changed since the last time. Nobody who asks for an interval waits for it.
func (l *Learner) save() {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	bindings, unsaved := slices.Clone(l.bindings), l.unsaved
	l.unsaved = false
	l.mu.Unlock()
	if !unsaved || l.store == nil {
		return
	}
	if err := l.store.Save(bindings); err != nil {
		l.log.Warn("what was learned about keepalives cannot be saved; it will be learned again after a restart", "err", err)
	}
}

// get returns what is known about a network, which may be nothing.
func (l *Learner) get(network string) NATBinding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.getLocked(network)
}

func (l *Learner) getLocked(network string) NATBinding {
	if i := l.indexLocked(network); i >= 0 {
		return l.bindings[i]
	}
	return NATBinding{Network: network}
}

// update changes what is known about a network. If there are too many, the oldest is forgotten.
func (l *Learner) update(network string, change func(NATBinding) NATBinding) (after NATBinding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	after = change(l.getLocked(network))
	if i := l.indexLocked(network); i >= 0 {
		l.bindings = slices.Delete(l.bindings, i, i+1)
	}
	l.bindings = append(l.bindings, after)
	l.bindings = l.bindings[max(0, len(l.bindings)-maxBindings):]
	l.unsaved = true
	return after
}

// lost notes that a connection's mapping was lost although it should have been kept.
func (l *Learner) lost(now time.Time, network string) {
	var before NATBinding
	after := l.update(network, func(b NATBinding) NATBinding {
		before = b
		return b.lost(now)
	})
	l.log.Info("this network lost the mapping of the connection; keepalives are more frequent again",
		"network", network, "proven", before.Proven, "losses", after.Losses)
}

// distrust requires what is known about a network to be proven again before it is used. That is not worth a
// disk write.
func (l *Learner) distrust(network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.indexLocked(network); i >= 0 {
		l.bindings[i].Found = time.Time{}
	}
}

func (l *Learner) indexLocked(network string) int {
	return slices.IndexFunc(l.bindings, func(b NATBinding) bool { return b.Network == network })
}

// beginTry reports whether a connection may start a try now. Only one does at a time, and it calls endTry.
func (l *Learner) beginTry() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trying {
		return false
	}
	l.trying = true
	return true
}

func (l *Learner) endTry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = false
}
