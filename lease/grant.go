package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// bindPause is how long a port that could not be opened is not tried again.
	bindPause = 5 * time.Second
	// takenPause is the same for a port that the store gives to another server, whose leases last for hours.
	takenPause = time.Minute
)

var errNotLoaded = errors.New("lease: Load must come before Grant")

// Request asks for the lease of a key.
type Request struct {
	Key
	Origin     string
	WantedPort uint16    // 0: any
	Domain     string    // instead of a port; empty: a port is asked for
	Transport  Transport // of a port
	// Ports are those of which it may have one; zero: all. MaxPerNode is Config.MaxPerNode for its node; 0: the same.
	Ports      PortRange
	MaxPerNode int
	// Services are the names of all the node's services, which reveal a renamed service. Empty: not told.
	Services []string
	// Shared says that the lease, of a group, is in use by another member, so that it stays where it is. A request
	// that would move it gets a *SharedError.
	Shared bool
	// MayWrite is called before anything changes; Grant returns its error. Nil: allowed.
	MayWrite func() error
}

// Renames reports whether l may be a lease of the same service under its former name.
func (r Request) Renames(l Lease) bool {
	if l.Node != r.Node || l.IsGroup() || l.Key == r.Key || l.Attached() || len(r.Services) == 0 || slices.Contains(r.Services, l.Service) {
		return false
	}
	if r.Domain != "" || l.Domain != "" {
		return l.Domain == r.Domain
	}
	return l.Port == r.WantedPort || r.Origin != "" && l.Origin == r.Origin
}

// allows reports whether the request may get a port, if the server leases it.
func (r Request) allows(port uint16) bool { return r.Ports.IsZero() || r.Ports.Contains(port) }

// offers reports whether the key of r may have a port, or a domain.
func (l *Lessor) offers(r Request, e Endpoint) bool {
	return l.serves(e) && (e.Domain != "" || r.allows(e.Port))
}

// wants reports whether the request asks for this endpoint by number or name.
func (r Request) wants(e Endpoint) bool {
	return !e.IsZero() && e == Endpoint{Port: r.WantedPort, Domain: r.Domain}
}

// Grant is the answer.
type Grant struct {
	Lease
	// WantedTaken says that the wanted port is not free, or the lease is pinned, and the lease has another.
	WantedTaken bool
	// Previous is what the key had until now, or had last, if it differs; zero otherwise.
	Previous Endpoint
	// Why tells the owner why it no longer has Previous.
	Why string
}

// Grant attaches the lease of a key, which keeps its port, or makes a new one. A new lease gets the wanted
// port if that is free; else the port that the key had last; else the lowest that nobody ever had; else the
// one given up longest ago; else that of the lease that lapsed longest ago. An existing lease moves only if
// the wanted port is free, or its own is no longer in the range. The lease is stored and its port is open
// when Grant returns. If nothing changes, nothing is written and Request.MayWrite is not called.
//
// An unattached lease of the same node whose service is not in Request.Services counts as renamed if it has
// the wanted port, or if the key has no lease and the same origin address: the key takes over the lease with
// its port.
//
// A pinned lease stays at its port, whatever is wanted, even outside the range, as long as its port is in the range.
//
// A request with a domain gets that, or an error; an existing lease moves to it, or back to a port.
//
// A node that asks for more leases than it may have loses its oldest unattached one, those of services that
// it no longer has first; if all are attached or pinned, the error is ErrTooManyServices. Further errors:
// *PortOutOfRangeError; *PinnedError; *RangeFullError; ErrPortBusy; ErrNoDomains; *BadDomainError; *DomainTakenError;
// ErrTooManyDomains; *SharedError; and those of the store, after which everything is unchanged, except that a lease
// for which another transport was asked is held: its port is closed, and Run opens it for that transport.
func (l *Lessor) Grant(ctx context.Context, r Request) (Grant, error) {
	if err := validate(r.Key, r.Origin); err != nil {
		return Grant{}, fmt.Errorf("lease: %w", err)
	}
	if err := l.takeTurn(ctx); err != nil {
		return Grant{}, fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	if !l.loaded {
		return Grant{}, errNotLoaded
	}
	asked := r.WantedPort
	if err := l.checkPin(&r); err != nil {
		return Grant{}, err
	}
	if err := cmp.Or(l.checkWanted(r), l.checkShared(r)); err != nil {
		return Grant{}, err
	}
	if same, ok := l.unchanged(r); ok {
		return Grant{Lease: same, WantedTaken: asked != 0 && asked != same.Port}, nil
	}
	if r.MayWrite != nil {
		if err := r.MayWrite(); err != nil {
			return Grant{}, err
		}
	}
	before, known := l.get(r.Key)
	var former Ended
	if !known {
		former = l.former(r.Key)
	}
	granted, err := l.grant(ctx, r, former)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Lease: granted, WantedTaken: asked != 0 && asked != granted.Port}
	switch {
	case known && before.Endpoint() != granted.Endpoint():
		g.Previous, g.Why = before.Endpoint(), l.whyMoved(r, before.ended(Lost), granted.Endpoint())
	case !known && former.Port != 0 && former.Port != granted.Port:
		g.Previous, g.Why = Endpoint{Port: former.Port}, l.whyMoved(r, former, granted.Endpoint())
	}
	return g, nil
}

// unchanged returns the lease of the key of r if it is attached and already has everything that r asks for
// and may have. It needs the turn.
func (l *Lessor) unchanged(r Request) (same Lease, ok bool) {
	kept := l.keep(r.Key)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[r.Key]
	if e == nil || !e.bound || !l.offers(r, e.Endpoint()) || e.Domain != r.Domain {
		return Lease{}, false
	}
	if r.WantedPort != 0 && r.WantedPort != e.Port {
		owner, owned := l.owners[Endpoint{Port: r.WantedPort}]
		if !owned || r.Renames(l.entries[owner].Lease) {
			return Lease{}, false
		}
	}
	renewed := e.Lease
	renewed.Origin, renewed.Transport, renewed.Kept, renewed.Reserved = r.Origin, r.Transport, kept, false
	return e.Lease, e.Attached() && e.Lease == renewed && e.storeHas(renewed)
}

// checkPin has r ask for the port that is pinned, or returns the *PinnedError of one that may not have it. It needs the
// turn.
func (l *Lessor) checkPin(r *Request) error {
	e, _ := l.get(r.Key)
	if !e.Pinned || !l.serves(e.Endpoint()) {
		return nil
	}
	if r.Domain != "" || !r.allows(e.Port) {
		return &PinnedError{e.Port}
	}
	r.WantedPort = e.Port
	return nil
}

// whyMoved says why a service no longer has its last endpoint.
func (l *Lessor) whyMoved(r Request, last Ended, now Endpoint) string {
	switch {
	case r.Domain != "":
		return "the node asked for this domain"
	case r.wants(now):
		return "the node asked for this port"
	case last.Port == 0:
		return "the node no longer asks for its domain"
	case !l.ports.Contains(last.Port):
		return fmt.Sprintf("the server's ports are now %v", l.ports)
	case !r.allows(last.Port):
		return fmt.Sprintf("the server's ports for this node are now %v", r.Ports)
	default:
		return last.Reason.String()
	}
}

// grant decides on the endpoint; former is the key's last lease if it has none now.
func (l *Lessor) grant(ctx context.Context, r Request, former Ended) (Lease, error) {
	if r.Domain != "" {
		return l.grantDomain(ctx, r)
	}
	renamed := l.renamed(r)
	takenOver := renamed
	wanted := Endpoint{Port: r.WantedPort}
	if free, _ := l.available(wanted); r.WantedPort != 0 && free || !l.offers(r, renamed.Endpoint()) {
		takenOver = entry{} // it gets the wanted port, or may not have this one
	}
	if err := l.makeRoom(ctx, r, takenOver.Key); err != nil {
		return Lease{}, err
	}
	e, known := l.get(r.Key)
	if r.WantedPort != 0 && !(known && e.Port == r.WantedPort) {
		var from entry
		if renamed.Port == r.WantedPort {
			from = renamed
		}
		if granted, err := l.claim(ctx, r, wanted, from); !errors.Is(err, errNotFree) {
			return granted, err
		}
	}
	// A lease outside the range, which was different before the last restart, cannot be kept.
	if known && e.Port != 0 && l.offers(r, e.Endpoint()) {
		if granted, err := l.renew(ctx, r, e); !errors.Is(err, ErrTaken) {
			return granted, err
		}
		e, _ = l.get(r.Key) // its port may be open only now
		l.lose(e)
	}
	if renamed = l.renamed(r); !known && renamed.Port != 0 && l.offers(r, renamed.Endpoint()) {
		if granted, err := l.claim(ctx, r, renamed.Endpoint(), renamed); !errors.Is(err, errNotFree) {
			return granted, err
		}
		if err := l.makeRoom(ctx, r, Key{}); err != nil {
			return Lease{}, err
		}
	}
	return l.claimAny(ctx, r, former)
}

// renamed returns the lease that the key of r takes over; zero if there is none.
func (l *Lessor) renamed(r Request) (from entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.entries[r.Key]
	for _, e := range l.nodes[r.Node] {
		newer := cmp.Or(e.HeldUntil.Compare(from.HeldUntil), byEndpoint(from.Lease, e.Lease))
		switch {
		case !r.Renames(e.Lease):
		case r.wants(e.Endpoint()):
			return *e
		case !known && (from.Port == 0 || newer > 0):
			from = *e
		}
	}
	return from
}

// TakesOver returns the key whose lease the key of r would take over with its endpoint, because the service
// was renamed.
func (l *Lessor) TakesOver(r Request) (former Key, ok bool) {
	from := l.renamed(r)
	switch free, _ := l.available(Endpoint{Port: r.WantedPort}); {
	case !l.offers(r, from.Endpoint()), l.Has(r.Key) && !r.wants(from.Endpoint()):
		return Key{}, false
	case r.WantedPort != 0 && r.WantedPort != from.Port && free: // it gets the wanted port
		return Key{}, false
	}
	return from.Key, true
}

// makeRoom enforces the limit on leases per node before the key of r gets one. The lease that it takes over
// does not count.
func (l *Lessor) makeRoom(ctx context.Context, r Request, takenOver Key) error {
	if r.IsGroup() {
		return nil // the caller decides which groups there are
	}
	most := cmp.Or(r.MaxPerNode, l.MaxPerNode())
	attached, known := 0, false
	var held []entry
	l.mu.Lock()
	for _, e := range l.nodes[r.Node] {
		switch {
		case e.Key == r.Key:
			known = true
		case e.Key == takenOver:
		case e.Attached(), e.Pinned:
			attached++
		default:
			held = append(held, *e)
		}
	}
	l.mu.Unlock()
	if attached >= most {
		return fmt.Errorf("%w: this node has %d in use, and may not have more than %d", ErrTooManyServices, attached, most)
	}
	excess := attached + len(held) + 1 - most
	if known || excess <= 0 {
		return nil
	}
	inUse := func(e entry) int {
		if slices.Contains(r.Services, e.Service) {
			return 1
		}
		return 0
	}
	slices.SortFunc(held, func(a, b entry) int {
		return cmp.Or(inUse(a)-inUse(b), a.HeldUntil.Compare(b.HeldUntil), byEndpoint(a.Lease, b.Lease))
	})
	for _, e := range held[:excess] {
		if err := l.drop(ctx, e, MadeRoom); err != nil {
			return err
		}
		l.log.Info("lease released for another service of its node", "node", e.Node, "service", e.Service, e.Endpoint().Attr())
	}
	return nil
}

// renew attaches a lease at its present endpoint.
func (l *Lessor) renew(ctx context.Context, r Request, e entry) (Lease, error) {
	if e.Transport != r.Transport {
		e = l.changeTransport(e, r.Transport)
	}
	if !e.bound {
		if err := l.bind(e.Lease); err != nil {
			l.prolong(e)
			if errors.Is(err, ErrExhausted) {
				return Lease{}, err
			}
			return Lease{}, fmt.Errorf("public %s of this service: %w", e.Endpoint().describe(), ErrPortBusy)
		}
		e.bound = true
		l.update(e.Key, func(e *entry) { e.bound = true })
	}
	renewed := e.Lease
	renewed.Origin, renewed.HeldUntil, renewed.Kept, renewed.Reserved = r.Origin, time.Time{}, l.keep(r.Key), false
	if !e.storeHas(renewed) {
		stored, err := l.put(ctx, change{to: renewed})
		if err != nil {
			if !errors.Is(err, ErrTaken) {
				l.markUnsure(e.Key, e.Endpoint())
				l.openOrClose(e)
			}
			return Lease{}, err
		}
		renewed.Revision = stored.Revision
	}
	l.set(entry{Lease: renewed, stored: renewed, bound: true})
	return renewed, nil
}

// changeTransport closes the port of a lease, which must be opened for another transport. The owner no longer
// has a port, so that the lease is held, as if it had gone, until Grant attaches it. It needs the turn.
func (l *Lessor) changeTransport(e entry, transport Transport) entry {
	until := time.Now().Add(l.HoldTimeOf(e.Key))
	l.update(e.Key, func(e *entry) {
		if e.Attached() {
			e.HeldUntil = until
		}
		e.Transport, e.bound = transport, false
	})
	if e.bound {
		l.binder.Unbind(e.Lease)
	}
	l.wakeRun()
	e, _ = l.get(e.Key)
	return e
}

// prolong keeps a lease from expiring while its owner asks for it in vain. It waits for half of the hold time
// because each time is a write.
func (l *Lessor) prolong(e entry) {
	if now, hold := time.Now(), l.HoldTimeOf(e.Key); e.HeldUntil.Sub(now) < hold/2 {
		l.update(e.Key, func(e *entry) { e.HeldUntil, e.Reserved, e.lapsed = now.Add(hold), false, false })
		l.wakeRun()
	}
}
