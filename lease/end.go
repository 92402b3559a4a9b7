package lease

import (
	"context"
	"fmt"
	"time"
)

// Detach says that the owner of a lease has gone: its port is held until the hold
// time has passed from now on. A lease that is held already keeps its time; a key
// without a lease is no error.
//
// It takes effect in memory at once, even if ctx has ended. An error says that it
// is not stored yet; Run does that later.
func (l *Lessor) Detach(ctx context.Context, key Key) error {
	until := time.Now().Add(l.holdTime)
	l.update(key, func(e *entry) {
		if e.Attached() {
			e.HeldUntil = until
		}
	})
	defer l.wakeRun()
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	e, known := l.get(key)
	if !known || e.storeHas(e.Lease) {
		return nil
	}
	return l.save(ctx, e)
}

// Release ends a lease, attached or held: its port is closed and free. A key
// without a lease is no error. After an error of the store the lease is as before.
func (l *Lessor) Release(ctx context.Context, key Key) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	e, known := l.get(key)
	if !known {
		return nil
	}
	return l.drop(ctx, e)
}
