package lease

import (
	"context"
	"errors"
	"time"
)

const (
	// storePause is how long Run leaves a store alone that has failed.
	storePause = 5 * time.Second
	// storeTimeout bounds one access of Run to the store.
	storeTimeout = 10 * time.Second
)

// Run lets leases expire, tries again to open the ports that could not be, and
// writes what could not be stored. It does so until ctx ends, and returns nil. A
// store that fails is logged and tried again. The ports stay open when Run returns.
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

// agenda returns the keys that something is to be done about now, in no order: one
// bad record must not stop the others for ever. It also returns when the next
// thing is due after now; zero if there is none.
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

// dueLocked returns when something is to be done about e.
func (l *Lessor) dueLocked(e *entry, now time.Time) (at time.Time, ok bool) {
	if e.expired(now) {
		return l.storeAfter, true
	}
	sooner := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if !e.Attached() {
		sooner(e.HeldUntil)
	}
	if !e.storeHas(e.Lease) {
		sooner(l.storeAfter)
	}
	if !e.bound && l.ports.Contains(e.Port) {
		sooner(l.avoid[e.Port].until)
	}
	return at, ok
}

// tend does what is due about a key. It needs the turn.
func (l *Lessor) tend(ctx context.Context, key Key) {
	l.mu.Lock()
	now := time.Now()
	useStore := !l.storeAfter.After(now)
	port, isStray := l.stray[key]
	l.mu.Unlock()
	e, known := l.get(key)

	if known && !e.expired(now) && !e.bound && l.ports.Contains(e.Port) {
		if _, sensible := l.available(e.Port); sensible && l.bind(e.Lease) == nil {
			l.update(key, func(e *entry) { e.bound = true })
			e.bound = true
		}
	}
	if !useStore {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	switch {
	case known && e.expired(now):
		if err := l.drop(ctx, e); l.noteStore(ctx, err) {
			l.log.Info("lease expired", "node", e.Node, "service", e.Service, "port", e.Port)
		}
	case known && !e.storeHas(e.Lease):
		l.noteStore(ctx, l.save(ctx, e))
	case isStray:
		if err := l.erase(ctx, key, 0); l.noteStore(ctx, err) {
			l.forgetStray(key, port)
		}
	}
}

// forgetStray notes that the store has no record of key any more.
func (l *Lessor) forgetStray(key Key, port uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.stray, key)
	delete(l.avoid, port)
}

// noteStore keeps track of whether the store works, and logs when that changes. It
// reports whether err is nil.
func (l *Lessor) noteStore(ctx context.Context, err error) (ok bool) {
	if errors.Is(err, ErrTaken) || errors.Is(ctx.Err(), context.Canceled) {
		return err == nil // it works, or nobody waits for it any more
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
		l.log.Error("the leases cannot be stored; the ones in use go on, and it is tried again", "err", err)
	case err == nil && was:
		l.log.Info("the leases can be stored again")
	}
	return err == nil
}
