package lease

import (
	"context"
	"errors"
	"fmt"
)

// change is a write to the store: the record to, instead of from if that is one, and what ends with it.
type change struct {
	from, to Lease
	ended    []Ended
}

// moves reports whether the record replaces that of another key.
func (c change) moves() bool { return !c.from.Endpoint().IsZero() }

// put writes a record. A conflict means that an earlier write of unknown outcome did happen; the record is
// then read and replaced. The same may be the reason why an endpoint is taken; then that earlier write is first
// undone. After an error other than ErrTaken the store may have the new record.
func (l *Lessor) put(ctx context.Context, c change) (stored Lease, err error) {
	for range 3 {
		if c.moves() {
			stored, err = l.store.Move(ctx, c.from, c.to, ofPorts(c.ended)...)
		} else {
			stored, err = l.store.Put(ctx, c.to, ofPorts(c.ended)...)
		}
		settled, failed := false, error(nil)
		switch {
		case errors.Is(err, ErrConflict):
			failed = l.reread(ctx, &c)
			settled = failed == nil
		case errors.Is(err, ErrTaken):
			settled, failed = l.undo(ctx, c)
		}
		if failed != nil {
			err = failed
		}
		if !settled {
			break
		}
	}
	if err != nil {
		return Lease{}, fmt.Errorf("storing the lease of %s: %w", c.to.Endpoint().describe(), err)
	}
	return stored, nil
}

// reread brings the revisions of a change up to date.
func (l *Lessor) reread(ctx context.Context, c *change) error {
	leases, err := l.list(ctx)
	if err != nil {
		return err
	}
	c.to.Revision = revisionOf(leases, c.to.Key)
	if c.moves() {
		if c.from.Revision = revisionOf(leases, c.from.Key); c.from.Revision == 0 {
			c.from = Lease{}
		}
	}
	return nil
}

// undo looks for a write of unknown outcome that gave the endpoint of c to another key than memory says, and
// makes the store agree with memory there.
func (l *Lessor) undo(ctx context.Context, c change) (undone bool, err error) {
	leases, err := l.list(ctx)
	if err != nil {
		return false, err
	}
	for _, stored := range leases {
		if stored.Endpoint() != c.to.Endpoint() || stored.Key == c.to.Key {
			continue
		}
		l.mu.Lock()
		e, known := l.entries[stored.Key]
		endpoint, stray := l.stray[stored.Key]
		moved := known && e.unsure && e.Endpoint() != stored.Endpoint()
		var record Lease
		if moved {
			record = e.Lease
		}
		l.mu.Unlock()
		record.Revision = stored.Revision
		switch {
		case moved:
			_, err = l.store.Put(ctx, record)
		case stray:
			if err = l.store.Delete(ctx, stored.Key, stored.Revision); err == nil {
				l.forgetStray(stored.Key, endpoint)
			}
		default:
			return false, nil
		}
		if errors.Is(err, ErrTaken) {
			err = errors.New("what it should have is taken, too") // rather than that of c
		}
		if err != nil {
			return false, fmt.Errorf("undoing a failed write: %w", err)
		}
		return true, nil
	}
	return true, nil // it is free now
}

// erase deletes a record, which may already be gone, in the manner of put.
func (l *Lessor) erase(ctx context.Context, key Key, revision uint64, ended ...Ended) error {
	ended = ofPorts(ended)
	err := l.store.Delete(ctx, key, revision, ended...)
	if errors.Is(err, ErrConflict) {
		var leases []Lease
		if leases, err = l.list(ctx); err == nil {
			if revision = revisionOf(leases, key); revision != 0 {
				err = l.store.Delete(ctx, key, revision, ended...)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("deleting a lease from the store: %w", err)
	}
	return nil
}

func (l *Lessor) list(ctx context.Context) ([]Lease, error) {
	leases, err := l.store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the stored leases: %w", err)
	}
	return leases, nil
}

// revisionOf returns the revision of the record of key; 0 if there is none.
func revisionOf(leases []Lease, key Key) uint64 {
	for _, stored := range leases {
		if stored.Key == key {
			return stored.Revision
		}
	}
	return 0
}

// save writes the lease of e as it is in memory. It needs the turn.
func (l *Lessor) save(ctx context.Context, e entry) error {
	stored, err := l.put(ctx, change{to: e.Lease})
	switch {
	case errors.Is(err, ErrTaken):
		l.lose(e)
		return err
	case err != nil:
		l.markUnsure(e.Key, e.Endpoint())
		return err
	}
	l.update(e.Key, func(now *entry) { // Detach may have changed it meanwhile
		now.Revision, now.stored, now.unsure = stored.Revision, e.Lease, false
	})
	return nil
}

// drop ends a lease. It needs the turn.
func (l *Lessor) drop(ctx context.Context, e entry, why Reason) error {
	ended := e.ended(why)
	if err := l.erase(ctx, e.Key, e.Revision, ended); err != nil {
		l.markUnsure(e.Key, e.Endpoint())
		return err
	}
	l.remove(e)
	l.remember(ended)
	l.observe(Event{Lease: e.Lease, Ended: why})
	return nil
}

// lose gives up a lease whose endpoint the store has given to somebody else, which can only be done by another
// server or by somebody who edited the store. It needs the turn.
func (l *Lessor) lose(e entry) {
	l.log.Error("the store gives the port of a lease to another service; the lease is lost", e.attrs(e.Endpoint().Attr())...)
	l.remove(e)
	l.remember(e.ended(Lost))
	l.observe(Event{Lease: e.Lease, Ended: Lost})
	l.markUnsure(e.Key, e.Endpoint())
}
