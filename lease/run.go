package lease

import (
	"context"
	"errors"
	"time"
)

const (
	// storePause is how long Run does not use a store after it failed.
	storePause = 5 * time.Second
	// storeTimeout bounds each access of Run to the store.
	storeTimeout = 10 * time.Second
)

// Run lets leases lapse or expire, retries ports that could not be opened, and writes what could not be
// stored, until ctx ends; it returns nil. Failures of the store are logged and retried. The ports stay open
// when Run returns.
func (l *Lessor) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		due, next := l.agenda(time.Now())
		for _, key := range due {
			if l.takeTurn(ctx) != nil {
				return nil
			}
			l.tend(ctx, key)
			l.endTurn()
		}
		if len(due) == 0 {
			l.sleep(ctx, next)
		}
	}
	return nil
}

// sleep waits until next, forever if that is zero, or until there is something new.
func (l *Lessor) sleep(ctx context.Context, next time.Time) {
	var timer <-chan time.Time
	if !next.IsZero() {
		timer = time.After(time.Until(next))
	}
	select {
	case <-timer:
	case <-l.wake:
	case <-ctx.Done():
	}
}

// agenda returns the keys with something due now, in random order, so that one bad record does not stop the
// others for ever. It also returns when the next thing is due after now; zero if nothing is.
func (l *Lessor) agenda(now time.Time) (due []Key, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add := func(key Key, at time.Time) {
		switch {
		case !at.After(now):
			due = append(due, key)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	for key, e := range l.entries {
		if at, ok := l.dueLocked(e, now); ok {
			add(key, at)
		}
	}
	for key := range l.stray {
		add(key, l.storeAfter)
	}
	return due, next
}

// dueLocked returns when something is due for e.
func (l *Lessor) dueLocked(e *entry, now time.Time) (at time.Time, ok bool) {
	if e.expired(now) {
		return l.storeAfter, true
	}
	sooner := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if !e.Attached() && !e.lapsed {
		sooner(e.HeldUntil)
	}
	if !e.storeHas(e.Lease) {
		sooner(l.storeAfter)
	}
	if e.bound && !e.open() {
		sooner(now)
	}
	if !e.bound && e.open() && l.serves(e.Endpoint()) {
		sooner(l.avoid[e.Endpoint()].until)
	}
	return at, ok
}

// tend does what is due for a key. It needs the turn.
func (l *Lessor) tend(ctx context.Context, key Key) {
	l.mu.Lock()
	now := time.Now()
	useStore := !l.storeAfter.After(now)
	endpoint, isStray := l.stray[key]
	l.mu.Unlock()
	e, known := l.get(key)
	if known && e.expired(now) {
		e = l.outlast(e, now)
	}
	if known {
		e = l.openOrClose(e)
	}
	if !useStore {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	switch {
	case known && e.expired(now):
		if err := l.drop(ctx, e, Expired); l.noteStore(ctx, err) {
			l.log.Info("lease expired", e.attrs(e.Endpoint().Attr())...)
		}
	case known && !e.storeHas(e.Lease):
		l.noteStore(ctx, l.save(ctx, e))
	case isStray:
		if err := l.erase(ctx, key, 0); l.noteStore(ctx, err) {
			l.forgetStray(key, endpoint)
		}
	}
}

// outlast lets an expired lease lapse or be reserved, unless it ends. It needs the turn.
func (l *Lessor) outlast(e entry, now time.Time) entry {
	switch {
	case e.Pinned && !e.Reserved && (!e.Kept || l.keep(e.Key)): // else its node was removed
		e.lapsed = true
		l.log.Info("lease lapsed; the port is pinned, and nobody else gets it", e.attrs(e.Endpoint().Attr())...)
	case l.keep(e.Key): // perhaps only since the node asked
		e.Kept, e.lapsed = true, true
		l.log.Info("lease lapsed; the port is kept while others are free", e.attrs(e.Endpoint().Attr())...)
	case !e.Kept:
		return e
	case !e.Reserved: // its node was removed without telling the Lessor, while the server was down
		e.HeldUntil, e.Reserved = now.Add(ReserveTime), true
	}
	l.update(e.Key, func(entry *entry) {
		entry.lapsed, entry.HeldUntil, entry.Kept, entry.Reserved = e.lapsed, e.HeldUntil, e.Kept, e.Reserved
	})
	return e
}

// openOrClose opens the endpoint of a lease that should be open but is not, or the reverse. It needs the turn.
func (l *Lessor) openOrClose(e entry) entry {
	_, sensible := l.available(e.Endpoint())
	switch {
	case e.bound && !e.open():
		l.binder.Unbind(e.Lease)
		e.bound = false
	case !e.bound && e.open() && !e.expired(time.Now()) && sensible && l.serves(e.Endpoint()):
		e.bound = l.bind(e.Lease) == nil
	}
	l.update(e.Key, func(entry *entry) { entry.bound = e.bound })
	return e
}

// forgetStray notes that the store no longer has a record of key.
func (l *Lessor) forgetStray(key Key, endpoint Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.stray, key)
	delete(l.avoid, endpoint)
}

// noteStore keeps track of whether the store works, and logs when that changes. It reports whether err is
// nil.
func (l *Lessor) noteStore(ctx context.Context, err error) (ok bool) {
	if errors.Is(err, ErrTaken) || errors.Is(ctx.Err(), context.Canceled) {
		return err == nil // it works, or nobody is waiting for it
	}
	l.mu.Lock()
	was := l.storeFailing
	l.storeFailing = err != nil
	if err != nil {
		l.storeAfter = time.Now().Add(storePause)
	}
	l.mu.Unlock()
	switch {
	case err != nil && !was:
		l.log.Error("the leases cannot be stored; those in use go on, and it will be retried", "err", err)
	case err == nil && was:
		l.log.Info("the leases can be stored again")
	}
	return err == nil
}
