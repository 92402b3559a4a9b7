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
	// bindPause is how long a port that could not be opened is left alone.
	bindPause = 5 * time.Second
	// takenPause is the same for a port that the store gives to another server,
	// whose leases last for hours.
	takenPause = time.Minute
)

var (
	errNotLoaded = errors.New("lease: Load must come before Grant")
	// errNotFree says of one port that another one must do.
	errNotFree = errors.New("the port is not free")
)

// Request asks for the lease of a key.
type Request struct {
	Key
	Origin     string
	WantedPort uint16 // 0: any
}

// Grant is the answer.
type Grant struct {
	Lease
	// WantedTaken says that the wanted port is not free: the lease has another.
	WantedTaken bool
}

// Grant attaches the lease of a key, which keeps its port, or makes a new one. A
// new lease gets the wanted port if that is free, else the lowest free one; a lease
// that there is moves to the wanted port if that is free, and only then. The lease
// is stored and its port is open when Grant returns. Nothing is written if nothing
// changes.
//
// A node that asks for more leases than it may have loses the oldest of those that
// are held for it; if all are attached the error is ErrTooManyServices. Further
// errors: *PortOutOfRangeError; *RangeFullError; ErrPortBusy; and those of the
// store, after which everything is as before.
func (l *Lessor) Grant(ctx context.Context, r Request) (Grant, error) {
	if err := validate(r.Key, r.Origin); err != nil {
		return Grant{}, fmt.Errorf("lease: %w", err)
	}
	if r.WantedPort != 0 && !l.ports.Contains(r.WantedPort) {
		return Grant{}, &PortOutOfRangeError{Port: r.WantedPort, Range: l.ports}
	}
	if err := l.takeTurn(ctx); err != nil {
		return Grant{}, fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	if !l.loaded {
		return Grant{}, errNotLoaded
	}
	if err := l.makeRoom(ctx, r.Key); err != nil {
		return Grant{}, err
	}
	granted, err := l.grant(ctx, r)
	if err != nil {
		return Grant{}, err
	}
	return Grant{Lease: granted, WantedTaken: r.WantedPort != 0 && r.WantedPort != granted.Port}, nil
}

// grant decides which port it is.
func (l *Lessor) grant(ctx context.Context, r Request) (Lease, error) {
	if e, known := l.get(r.Key); r.WantedPort != 0 && !(known && e.Port == r.WantedPort) {
		if granted, err := l.claim(ctx, r, r.WantedPort); !errors.Is(err, errNotFree) {
			return granted, err
		}
	}
	// A lease outside of the range, which was another one before the last restart,
	// cannot be kept.
	if e, known := l.get(r.Key); known && l.ports.Contains(e.Port) {
		if granted, err := l.renew(ctx, r, e); !errors.Is(err, ErrTaken) {
			return granted, err
		}
		l.lose(e)
	}
	return l.claimLowest(ctx, r)
}

// makeRoom enforces the number of leases per node, before key gets one.
func (l *Lessor) makeRoom(ctx context.Context, key Key) error {
	attached, known := 0, false
	var held []entry
	l.mu.Lock()
	for _, e := range l.entries {
		switch {
		case e.Key == key:
			known = true
		case e.Node == key.Node && e.Attached():
			attached++
		case e.Node == key.Node:
			held = append(held, *e)
		}
	}
	l.mu.Unlock()
	if attached >= l.maxPerNode {
		return fmt.Errorf("%w: this node has %d in use, and no node may have more than %d", ErrTooManyServices, attached, l.maxPerNode)
	}
	excess := attached + len(held) + 1 - l.maxPerNode
	if known || excess <= 0 {
		return nil
	}
	slices.SortFunc(held, func(a, b entry) int { return cmp.Or(a.HeldUntil.Compare(b.HeldUntil), byPort(a.Lease, b.Lease)) })
	for _, e := range held[:excess] {
		if err := l.drop(ctx, e); err != nil {
			return err
		}
		l.log.Info("lease released for another service of its node", "node", e.Node, "service", e.Service, "port", e.Port)
	}
	return nil
}

// renew attaches a lease at the port that it has.
func (l *Lessor) renew(ctx context.Context, r Request, e entry) (Lease, error) {
	if !e.bound {
		if err := l.bind(e.Lease); err != nil {
			l.prolong(e)
			return Lease{}, fmt.Errorf("public port %d of this service: %w", e.Port, ErrPortBusy)
		}
		l.update(e.Key, func(e *entry) { e.bound = true })
	}
	renewed := e.Lease
	renewed.Origin, renewed.HeldUntil, renewed.Kept, renewed.Reserved = r.Origin, time.Time{}, l.keep(r.Node), false
	if !e.storeHas(renewed) {
		stored, err := l.put(ctx, renewed)
		if err != nil {
			if !errors.Is(err, ErrTaken) {
				l.doubt(e.Key, e.Port)
			}
			return Lease{}, err
		}
		renewed.Revision = stored.Revision
	}
	l.set(entry{Lease: renewed, stored: renewed, bound: true})
	return renewed, nil
}

// prolong keeps a lease from expiring while its owner asks for it in vain. Half of
// the hold time is enough to do so seldom: it is a write.
func (l *Lessor) prolong(e entry) {
	if now := time.Now(); e.HeldUntil.Sub(now) < l.holdTime/2 {
		l.update(e.Key, func(e *entry) { e.HeldUntil, e.Reserved, e.lapsed = now.Add(l.holdTime), false, false })
		l.wakeRun()
	}
}

// claimLowest gives the key of r the lowest port that can be had.
func (l *Lessor) claimLowest(ctx context.Context, r Request) (Lease, error) {
	for port := range l.ports.All() {
		if free, sensible := l.available(port); !free || !sensible {
			continue
		}
		granted, err := l.claim(ctx, r, port)
		if !errors.Is(err, errNotFree) {
			return granted, err
		}
		if ctx.Err() != nil {
			return Lease{}, fmt.Errorf("lease: looking for a free port: %w", context.Cause(ctx))
		}
	}
	return Lease{}, l.full()
}

// claim gives the key of r this port instead of the one that it may have. The error
// is errNotFree if the port cannot be had.
func (l *Lessor) claim(ctx context.Context, r Request, port uint16) (Lease, error) {
	if free, _ := l.available(port); !free {
		return Lease{}, errNotFree
	}
	old, _ := l.get(r.Key)
	claimed := Lease{Key: r.Key, Port: port, Origin: r.Origin, Kept: l.keep(r.Node), Revision: old.Revision}
	if l.bind(claimed) != nil {
		return Lease{}, errNotFree
	}
	stored, err := l.put(ctx, claimed)
	if err != nil {
		l.binder.Unbind(claimed)
		if errors.Is(err, ErrTaken) {
			l.obstruct(port, err, takenPause)
			return Lease{}, errNotFree
		}
		l.doubt(r.Key, port)
		return Lease{}, err
	}
	claimed.Revision = stored.Revision
	l.set(entry{Lease: claimed, stored: claimed, bound: true})
	if old.bound {
		l.binder.Unbind(old.Lease)
	}
	return claimed, nil
}

// bind opens the port of a lease.
func (l *Lessor) bind(lease Lease) error {
	if err := l.binder.Bind(lease); err != nil {
		if l.obstruct(lease.Port, err, bindPause) {
			l.log.Info("a public port cannot be opened; it is tried again", "port", lease.Port, "err", err)
		}
		return err
	}
	l.clear(lease.Port)
	return nil
}

// full counts where all the ports are.
func (l *Lessor) full() error {
	e := &RangeFullError{Range: l.ports, Size: l.ports.Size()}
	l.mu.Lock()
	defer l.mu.Unlock()
	for port := range l.ports.All() {
		switch owner, owned := l.owners[port]; {
		case !owned:
			e.Unbindable++
			e.Cause = l.avoid[port].cause
		case l.entries[owner].Attached():
			e.Attached++
		default:
			e.Held++
		}
	}
	return e
}
