package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Pin makes the port of a node's lease, or the one given (0: its own), that of its key until Unpin or Forget: the lease
// ends neither with its hold time nor for want of ports, nor because its node gives it up, and Grant moves it nowhere else.
// If it moves here, it is held at the new port, as if its owner had gone, until that asks again; moved is true.
//
// The errors are ErrNoLease; ErrNotPort; *PortOutOfRangeError; *PortTakenError; ErrPortBusy; and those of the store, after
// which the lease is where it was.
func (l *Lessor) Pin(ctx context.Context, key Key, port uint16) (pinned Lease, moved bool, err error) {
	if err := l.takeTurn(ctx); err != nil {
		return Lease{}, false, fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	e, known := l.get(key)
	switch {
	case !known:
		return Lease{}, false, ErrNoLease
	case e.Port == 0 || key.IsGroup():
		return Lease{}, false, ErrNotPort
	case port == 0:
		port = e.Port
	}
	if !l.ports.Contains(port) {
		return Lease{}, false, &PortOutOfRangeError{Port: port, Range: l.ports}
	}
	if port == e.Port {
		pinned, err = l.setPinned(ctx, e, true)
		return pinned, false, err
	}
	pinned, err = l.movePinned(ctx, e, port)
	return pinned, err == nil, err
}

// Unpin undoes Pin; the lease stays where it is, as any other. The errors are ErrNoLease, ErrNotPinned, and those of
// the store.
func (l *Lessor) Unpin(ctx context.Context, key Key) (Lease, error) {
	if err := l.takeTurn(ctx); err != nil {
		return Lease{}, fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	switch e, known := l.get(key); {
	case !known:
		return Lease{}, ErrNoLease
	case !e.Pinned:
		return Lease{}, ErrNotPinned
	default:
		return l.setPinned(ctx, e, false)
	}
}

// IsPinned reports whether the lease of a key is pinned.
func (l *Lessor) IsPinned(key Key) bool {
	e, _ := l.get(key)
	return e.Pinned
}

// setPinned stores whether a lease is pinned. It needs the turn.
func (l *Lessor) setPinned(ctx context.Context, e entry, pinned bool) (Lease, error) {
	was := e.Pinned
	set := func(to bool) {
		l.update(e.Key, func(e *entry) {
			e.Pinned = to
			e.lapsed = e.lapsed && (to || e.Kept) // otherwise it now expires
		})
	}
	set(pinned)
	defer l.wakeRun()
	e, _ = l.get(e.Key) // Detach may have changed it meanwhile
	if e.storeHas(e.Lease) {
		return e.Lease, nil
	}
	if err := l.save(ctx, e); err != nil {
		set(was)
		return Lease{}, err
	}
	e, _ = l.get(e.Key)
	return e.Lease, nil
}

// movePinned gives a lease another port for good. It needs the turn.
func (l *Lessor) movePinned(ctx context.Context, e entry, port uint16) (Lease, error) {
	to := Endpoint{Port: port}
	l.mu.Lock()
	owner, owned := l.owners[to]
	var taken Lease
	if owned {
		taken = l.entries[owner].Lease
	}
	l.mu.Unlock()
	if owned {
		return Lease{}, &PortTakenError{taken}
	}
	pinned := e.Lease
	pinned.Port, pinned.Pinned = port, true
	if pinned.Attached() {
		pinned.HeldUntil = time.Now().Add(l.HoldTimeOf(e.Key))
	}
	c := change{to: pinned, ended: []Ended{e.ended(Moved)}}
	stored, err := l.establish(ctx, c)
	switch {
	case errors.Is(err, errNotFree):
		return Lease{}, fmt.Errorf("the public port %d: %w", port, ErrPortBusy)
	case err != nil:
		return Lease{}, err
	}
	pinned.Revision = stored.Revision
	l.set(entry{Lease: pinned, stored: pinned, bound: true})
	l.remember(c.ended...)
	if e.bound {
		l.binder.Unbind(e.Lease)
	}
	l.observe(Event{Lease: pinned, Previous: e.Endpoint()})
	l.wakeRun() // a reserved one is closed, and a lapsed one lapses again
	return pinned, nil
}
