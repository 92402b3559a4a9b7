package lease

import (
	"context"
	"errors"
	"fmt"
)

// put writes a record. A conflict means that an earlier write whose outcome was
// unknown has happened; the record is then read and replaced. After an error other
// than ErrTaken the store may have the new record.
func (l *Lessor) put(ctx context.Context, record Lease) (Lease, error) {
	stored, err := l.store.Put(ctx, record)
	if errors.Is(err, ErrConflict) {
		if record.Revision, err = l.revision(ctx, record.Key); err == nil {
			stored, err = l.store.Put(ctx, record)
		}
	}
	if err != nil {
		return Lease{}, fmt.Errorf("storing the lease of port %d: %w", record.Port, err)
	}
	return stored, nil
}

// erase deletes a record, which may be gone already, in the same manner.
func (l *Lessor) erase(ctx context.Context, key Key, revision uint64) error {
	err := l.store.Delete(ctx, key, revision)
	if errors.Is(err, ErrConflict) {
		if revision, err = l.revision(ctx, key); err == nil && revision != 0 {
			err = l.store.Delete(ctx, key, revision)
		}
	}
	if err != nil {
		return fmt.Errorf("deleting a lease from the store: %w", err)
	}
	return nil
}

// revision reads the revision of the record of key; 0 if there is none.
func (l *Lessor) revision(ctx context.Context, key Key) (uint64, error) {
	leases, err := l.store.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the stored leases: %w", err)
	}
	for _, stored := range leases {
		if stored.Key == key {
			return stored.Revision, nil
		}
	}
	return 0, nil
}

// save writes the lease of e as it is in memory. It needs the turn.
func (l *Lessor) save(ctx context.Context, e entry) error {
	stored, err := l.put(ctx, e.Lease)
	switch {
	case errors.Is(err, ErrTaken):
		l.lose(e)
		return err
	case err != nil:
		l.doubt(e.Key, e.Port)
		return err
	}
	l.update(e.Key, func(now *entry) { // which Detach may have changed meanwhile
		now.Revision, now.stored, now.unsure = stored.Revision, e.Lease, false
	})
	return nil
}

// drop ends a lease. It needs the turn.
func (l *Lessor) drop(ctx context.Context, e entry) error {
	if err := l.erase(ctx, e.Key, e.Revision); err != nil {
		l.doubt(e.Key, e.Port)
		return err
	}
	l.remove(e)
	return nil
}

// lose gives up a lease whose port the store has given to somebody else, which
// takes another server or a person who changed the store. It needs the turn.
func (l *Lessor) lose(e entry) {
	l.log.Error("the store gives the port of a lease to another service; the lease is lost",
		"node", e.Node, "service", e.Service, "port", e.Port)
	l.remove(e)
	l.doubt(e.Key, e.Port)
}
