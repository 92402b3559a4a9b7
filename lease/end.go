package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apquic/certs"
)

// Detach says that the owner of a lease has gone: its port is held for the hold time from now on. A lease
// that is already held keeps its time; a key without a lease is not an error.
//
// It takes effect in memory at once, even if ctx has ended. An error says that it is not stored yet; Run
// stores it later.
func (l *Lessor) Detach(ctx context.Context, key Key) error {
	l.letGo(key)
	defer l.wakeRun()
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	return l.saveHeld(ctx, key)
}

// letGo holds a lease from now on, in memory, unless it is held already.
func (l *Lessor) letGo(key Key) {
	until := time.Now().Add(l.HoldTimeOf(key))
	l.update(key, func(e *entry) {
		if e.Attached() {
			e.HeldUntil = until
		}
	})
}

// saveHeld stores what letGo changed. It needs the turn.
func (l *Lessor) saveHeld(ctx context.Context, key Key) error {
	e, known := l.get(key)
	if !known || e.storeHas(e.Lease) {
		return nil
	}
	return l.save(ctx, e)
}

// KeepNode is for a node that had leases before it became known: they now outlast the hold time, as if
// Config.Keep had said so. Run stores that.
func (l *Lessor) KeepNode(ctx context.Context, node certs.NodeID) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	defer l.wakeRun()
	for _, lease := range l.Leases() {
		if lease.Node == node {
			l.update(lease.Key, func(e *entry) { e.Kept = true })
		}
	}
	return nil
}

// HoldNode is for a node that is removed: all its leases, even attached ones, are held at least until then,
// and nobody gets their ports. The ports are closed. A restart does not shorten the time. If the node asks
// again, it gets them back.
//
// The caller must first stop the node from asking. An error says that nothing happened, or that it is not
// stored yet; Run stores it later.
func (l *Lessor) HoldNode(ctx context.Context, node certs.NodeID, until time.Time) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	defer l.wakeRun()
	var failed error
	for _, lease := range l.Leases() {
		if lease.Node != node {
			continue
		}
		l.update(lease.Key, func(e *entry) {
			if e.HeldUntil.Before(until) {
				e.HeldUntil = until
			}
			e.Reserved, e.lapsed = true, false
		})
		e, _ := l.get(lease.Key)
		if e = l.openOrClose(e); !e.storeHas(e.Lease) {
			failed = errors.Join(failed, l.save(ctx, e))
		}
	}
	return failed
}

// Forget ends a lease whose node is away, also a pinned one, for the server's owner. The node gets another port when
// it comes back. The errors are ErrNoLease, ErrAttached, and those of the store, after which the lease is
// unchanged.
func (l *Lessor) Forget(ctx context.Context, key Key) error { return l.forget(ctx, key, true) }

func (l *Lessor) forget(ctx context.Context, key Key, pinned bool) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	switch e, known := l.get(key); {
	case !known:
		return ErrNoLease
	case e.Pinned && !pinned:
		return nil
	case e.Attached():
		return ErrAttached
	default:
		return l.drop(ctx, e, Released)
	}
}

// ForgetNode is Forget for all leases of a node, which gives them up itself. Pinned ones stay; so do those that are
// attached, which is ErrAttached.
func (l *Lessor) ForgetNode(ctx context.Context, node certs.NodeID) (err error) {
	for _, lease := range l.LeasesOf(node) {
		if failed := l.forget(ctx, lease.Key, false); !errors.Is(failed, ErrNoLease) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Release ends a lease, attached or held, for its node: its port is closed and free. A pinned one is held instead,
// as by Detach. A key without a lease is not an error. After an error of the store the lease is unchanged.
func (l *Lessor) Release(ctx context.Context, key Key) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	e, known := l.get(key)
	switch {
	case !known:
		return nil
	case e.Pinned:
		l.letGo(key)
		defer l.wakeRun()
		return l.saveHeld(ctx, key)
	}
	return l.drop(ctx, e, Released)
}
