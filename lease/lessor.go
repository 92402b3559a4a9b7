package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
)

// Defaults of Config.
const (
	DefaultHoldTime   = 180 * time.Minute
	DefaultMaxPerNode = 16
)

// ReserveTime is how long nobody gets the ports of a removed node.
const ReserveTime = 30 * 24 * time.Hour

// Binder opens and closes the endpoints of leases. Its methods are called one at a time and may call
// Leases, but no other method of the Lessor.
type Binder interface {
	// Bind opens the port of a lease, for all of its transport or not at all, or serves its domain. An error says
	// that this cannot be done now.
	Bind(Lease) error
	// Unbind ends that; it is called once for every successful Bind, unless the process ends first.
	Unbind(Lease)
}

// Config is the configuration of a Lessor. Store, Ports and Binder are required.
type Config struct {
	Store  Store
	Ports  PortRange
	Binder Binder
	// HoldTime is how long an endpoint is kept after its node has gone, 180 minutes by default.
	HoldTime time.Duration
	// HoldTimeOf is the hold time of a key, if it is another one; 0: it is not. It must not call the Lessor. May be nil.
	HoldTimeOf func(Key) time.Duration
	// MaxPerNode is how many leases a node may have, 16 by default.
	MaxPerNode int
	// Domains says that domains are leased, too; MaxDomains is how many in all, 65536 by default.
	Domains    bool
	MaxDomains int
	// CheckDomain returns why nobody may have a domain, for people; nil: everybody may have any.
	CheckDomain func(domain string) error
	// Keep says which leases outlast the hold time, as long as there are other free ports; it is the same for all
	// of a node. It is called with the turn, must not call the Lessor, and is called again when the hold time is
	// over. A node or group for which it is no longer true counts as removed: see HoldNode. Nil: none.
	Keep func(Key) bool
	// Observe is called for each lease that is given, moves or ends, after that is stored. It is called with
	// the turn, like Keep. May be nil.
	Observe func(Event)
	// Log gets what an operator should know; nothing is logged by default.
	Log *slog.Logger
}

// Event is a change of who has a port or domain.
type Event struct {
	Lease             // as it is now, or was when it ended
	Previous Endpoint // what the lease had before; zero: it is new, or has ended
	Ended    Reason   // why it ended; empty: it was given or moved
}

// Lessor grants leases. Its methods may be called concurrently once Load has returned.
type Lessor struct {
	store      Store
	ports      PortRange
	binder     Binder
	holdTime   atomic.Int64 // a time.Duration
	holdTimeOf func(Key) time.Duration
	maxPerNode atomic.Int64
	domains    bool
	maxDomains int
	check      func(domain string) error
	keep       func(Key) bool
	observe    func(Event)
	log        *slog.Logger

	// turn holds one token: whoever has put it in may use the store and the binder, and change what they
	// have. It is taken before mu, which is not held while they work, so that Leases does not wait for the
	// disk. Only Detach changes an entry without it.
	turn chan struct{}
	// wake tells Run that something may be due earlier than it expected.
	wake chan struct{}

	mu      sync.Mutex
	entries map[Key]*entry
	nodes   map[certs.NodeID]map[string]*entry // the same entries, by node and service
	owners  map[Endpoint]Key
	history map[uint16]Ended // the last ended lease of each port that had one
	unused  portSet          // ports of the range that nobody has or had
	// stray has the endpoints of keys without an entry for which the store may nevertheless have a record,
	// since a write failed.
	stray map[Key]Endpoint
	// avoid has the endpoints that could not be opened lately.
	avoid map[Endpoint]obstacle
	// storeAfter is when Run uses the store again after a failure.
	storeAfter   time.Time
	storeFailing bool
	loaded       bool
}

// entry is a lease and its state outside memory. An attached lease is always bound; so is a held one, unless
// its port cannot be opened or is outside the range.
type entry struct {
	Lease
	stored Lease // the record in the store
	unsure bool  // a write failed: the record may differ
	bound  bool  // the binder has the endpoint open
	lapsed bool  // it has expired, but stays
}

// storeHas reports whether the record equals l.
func (e *entry) storeHas(l Lease) bool {
	return !e.unsure && e.stored.Endpoint() == l.Endpoint() && e.stored.Transport == l.Transport && e.stored.Origin == l.Origin &&
		e.stored.HeldUntil.Equal(l.HeldUntil) && e.stored.Kept == l.Kept && e.stored.Pinned == l.Pinned && e.stored.Reserved == l.Reserved
}

// expired reports whether the hold time of the lease is over and nothing was done about it yet.
func (e *entry) expired(now time.Time) bool {
	return !e.Attached() && !e.lapsed && !e.HeldUntil.After(now)
}

// open reports whether the endpoint should be bound.
func (e *entry) open() bool {
	return e.Attached() || !e.Reserved && !e.lapsed
}

// NewLessor validates config and makes a Lessor. Load comes next.
func NewLessor(config Config) (*Lessor, error) {
	switch {
	case config.Store == nil:
		return nil, errors.New("lease: a store is required")
	case config.Binder == nil:
		return nil, errors.New("lease: a binder is required")
	case config.Ports.IsZero():
		return nil, errors.New("lease: a range of ports is required")
	case config.HoldTime < 0:
		return nil, fmt.Errorf("lease: the hold time %v is negative", config.HoldTime)
	case config.MaxPerNode < 0 || config.MaxDomains < 0:
		return nil, fmt.Errorf("lease: a maximum of %d leases per node, or of %d domains, is negative", config.MaxPerNode, config.MaxDomains)
	}
	l := &Lessor{
		store: config.Store, ports: config.Ports, binder: config.Binder, log: config.Log,
		domains:    config.Domains,
		maxDomains: cmp.Or(config.MaxDomains, DefaultMaxDomains),
		check:      config.CheckDomain,
		keep:       config.Keep,
		holdTimeOf: config.HoldTimeOf,
		observe:    config.Observe,
		turn:       make(chan struct{}, 1),
		wake:       make(chan struct{}, 1),
		entries:    make(map[Key]*entry),
		nodes:      make(map[certs.NodeID]map[string]*entry),
		owners:     make(map[Endpoint]Key),
		history:    make(map[uint16]Ended),
		stray:      make(map[Key]Endpoint),
		avoid:      make(map[Endpoint]obstacle),
	}
	l.SetLimits(config.HoldTime, config.MaxPerNode)
	for port := range l.ports.All() {
		l.unused.add(port)
	}
	if l.keep == nil {
		l.keep = func(Key) bool { return false }
	}
	if l.holdTimeOf == nil {
		l.holdTimeOf = func(Key) time.Duration { return 0 }
	}
	if l.check == nil {
		l.check = func(string) error { return nil }
	}
	if l.observe == nil {
		l.observe = func(Event) {}
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l, nil
}

// SetLimits sets Config.HoldTime, for nodes that go from now on, and Config.MaxPerNode, which ends no lease.
func (l *Lessor) SetLimits(holdTime time.Duration, maxPerNode int) {
	l.holdTime.Store(int64(cmp.Or(holdTime, DefaultHoldTime)))
	l.maxPerNode.Store(int64(cmp.Or(maxPerNode, DefaultMaxPerNode)))
}

// HoldTime is how long an endpoint is kept after its node has gone.
func (l *Lessor) HoldTime() time.Duration { return time.Duration(l.holdTime.Load()) }

// HoldTimeOf is how long the endpoint of a key is kept after its node has gone.
func (l *Lessor) HoldTimeOf(key Key) time.Duration { return cmp.Or(l.holdTimeOf(key), l.HoldTime()) }

// MaxPerNode is how many leases a node may have.
func (l *Lessor) MaxPerNode() int { return int(l.maxPerNode.Load()) }

// Has reports whether a key has a lease.
func (l *Lessor) Has(key Key) bool {
	_, known := l.get(key)
	return known
}

// LeasesOf returns the leases of a node.
func (l *Lessor) LeasesOf(node certs.NodeID) (leases []Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.nodes[node] {
		leases = append(leases, e.Lease)
	}
	return leases
}

// serves reports whether the server leases this port or domain.
func (l *Lessor) serves(e Endpoint) bool {
	return e.Domain != "" && l.domains || e.Port != 0 && l.ports.Contains(e.Port)
}

// Leases returns a snapshot of all leases in the order of Endpoint.Compare. It never waits for the store or the binder.
func (l *Lessor) Leases() []Lease {
	l.mu.Lock()
	leases := make([]Lease, 0, len(l.entries))
	for _, e := range l.entries {
		leases = append(leases, e.Lease)
	}
	l.mu.Unlock()
	slices.SortFunc(leases, byEndpoint)
	return leases
}

// takeTurn waits until no other call uses the store or the binder; endTurn admits the next one.
func (l *Lessor) takeTurn(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Lessor) endTurn() { <-l.turn }

func (l *Lessor) wakeRun() {
	select {
	case l.wake <- struct{}{}:
	default: // Run will look anyway
	}
}
