package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Load reads the leases from the store, once, before anything else. Those that were attached when the server
// died count as detached now, and none is held for longer than the hold time from now, unless HoldNode said
// so. Those of groups that Config.Keep no longer names are held as HoldNode does it. The endpoints of held
// leases are opened; failures are logged and retried by Run, which also writes what has changed. Expired
// leases end or lapse. Leases outside the range, or of domains where none are leased, are kept until they
// expire, but stay closed.
//
// An error says that the store cannot be read, and nothing has happened.
func (l *Lessor) Load(ctx context.Context) error {
	if err := l.takeTurn(ctx); err != nil {
		return fmt.Errorf("lease: waiting for the store: %w", err)
	}
	defer l.endTurn()
	if l.loaded {
		return errors.New("lease: Load was already called")
	}
	leases, err := l.store.List(ctx)
	if err != nil {
		return fmt.Errorf("reading the stored leases: %w", err)
	}
	history, err := l.store.History(ctx)
	if err != nil {
		return fmt.Errorf("reading the stored history of ports: %w", err)
	}
	l.loaded = true
	l.remember(history...)
	now, outside := time.Now(), 0
	for _, stored := range leases {
		e := l.revive(stored, now)
		l.set(e)
		switch {
		case e.expired(now):
			l.tend(ctx, e.Key)
		case !l.serves(e.Endpoint()):
			outside++
		case e.open() && l.bind(e.Lease) == nil:
			l.update(e.Key, func(e *entry) { e.bound = true })
		}
	}
	if outside > 0 {
		l.log.Warn("leases outside the range are kept until they expire, but not served", "leases", outside, "range", l.ports, "domains", l.domains)
	}
	l.wakeRun()
	return nil
}

// revive makes an entry from a record. From now on its time follows the monotonic clock, so that a jump of
// the wall clock neither frees nor prolongs it.
func (l *Lessor) revive(stored Lease, now time.Time) entry {
	e := entry{Lease: stored, stored: stored}
	hold := l.HoldTimeOf(stored.Key)
	remaining := hold
	switch {
	case stored.Attached():
	case stored.Reserved:
		remaining = stored.HeldUntil.Sub(now)
	default:
		remaining = min(stored.HeldUntil.Sub(now), hold)
	}
	e.HeldUntil = now.Add(remaining)
	if e.IsGroup() && !e.Reserved && !l.keep(e.Key) { // it was removed while the server was down
		e.HeldUntil, e.Reserved = now.Add(ReserveTime), true
	}
	return e
}
