package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"apquic/lease"
)

// Put implements [lease.Store].
func (s *store) Put(ctx context.Context, l lease.Lease, ended ...lease.Ended) (lease.Lease, error) {
	return s.write(ctx, l, ended, func(*bbolt.Tx) error { return nil })
}

// Move implements [lease.Store].
func (s *store) Move(ctx context.Context, from, l lease.Lease, ended ...lease.Ended) (lease.Lease, error) {
	if from.Key == l.Key {
		return lease.Lease{}, fmt.Errorf("nothing to move: %w", lease.ErrConflict)
	}
	return s.write(ctx, l, ended, func(tx *bbolt.Tx) error { return remove(tx, from.Key, from.Revision) })
}

// write puts l, after first in the same transaction.
func (s *store) write(ctx context.Context, l lease.Lease, ended []lease.Ended, first func(*bbolt.Tx) error) (lease.Lease, error) {
	if err := l.Validate(); err != nil {
		return lease.Lease{}, s.explain("writing", err)
	}
	err := s.update(ctx, func(tx *bbolt.Tx) (err error) {
		if err := first(tx); err != nil {
			return err
		}
		if l, err = put(tx, l); err != nil {
			return err
		}
		return putHistory(tx, ended)
	})
	if err != nil {
		return lease.Lease{}, s.explain("writing", err)
	}
	return l, nil
}

func put(tx *bbolt.Tx, l lease.Lease) (lease.Lease, error) {
	leases, ports := tx.Bucket(leasesBucket), tx.Bucket(portsBucket)
	key, endpoint := encodeKey(l.Key), encodeEndpoint(l.Endpoint())
	current, err := find(tx, key)
	if err != nil {
		return lease.Lease{}, err
	}
	if current.Revision != l.Revision {
		return lease.Lease{}, fmt.Errorf("revision %d is stored, not %d: %w", current.Revision, l.Revision, lease.ErrConflict)
	}
	if owner := ports.Get(endpoint); owner != nil && !bytes.Equal(owner, key) {
		return lease.Lease{}, fmt.Errorf("%v: %w", l.Endpoint(), lease.ErrTaken)
	}
	if before := current.Endpoint(); !before.IsZero() && before != l.Endpoint() {
		if err := ports.Delete(encodeEndpoint(before)); err != nil {
			return lease.Lease{}, err
		}
	}
	if l.Revision, err = leases.NextSequence(); err != nil {
		return lease.Lease{}, err
	}
	l.HeldUntil = l.HeldUntil.Round(0) // a record has no monotonic clock
	data, err := encode(l)
	if err != nil {
		return lease.Lease{}, err
	}
	if err := leases.Put(key, data); err != nil {
		return lease.Lease{}, err
	}
	return l, ports.Put(endpoint, key)
}

// Delete implements [lease.Store].
func (s *store) Delete(ctx context.Context, key lease.Key, revision uint64, ended ...lease.Ended) error {
	err := s.update(ctx, func(tx *bbolt.Tx) error {
		if err := remove(tx, key, revision); err != nil {
			return err
		}
		return putHistory(tx, ended)
	})
	return s.explain("writing", err)
}

func remove(tx *bbolt.Tx, key lease.Key, revision uint64) error {
	current, err := find(tx, encodeKey(key))
	if err != nil {
		return err
	}
	if current.Revision == 0 || current.Revision != revision {
		return fmt.Errorf("revision %d is stored, not %d: %w", current.Revision, revision, lease.ErrConflict)
	}
	if err := tx.Bucket(portsBucket).Delete(encodeEndpoint(current.Endpoint())); err != nil {
		return err
	}
	return tx.Bucket(leasesBucket).Delete(encodeKey(key))
}

func putHistory(tx *bbolt.Tx, ended []lease.Ended) error {
	for _, e := range ended {
		if err := e.Validate(); err != nil {
			return err
		}
		data, err := encodeEnded(e)
		if err != nil {
			return err
		}
		if err := tx.Bucket(historyBucket).Put(encodePort(e.Port), data); err != nil {
			return err
		}
	}
	return nil
}

// find returns the record under key; its revision is 0 if there is none.
func find(tx *bbolt.Tx, key []byte) (lease.Lease, error) {
	data := tx.Bucket(leasesBucket).Get(key)
	if data == nil {
		return lease.Lease{}, nil
	}
	return decode(key, data)
}

// List implements [lease.Store].
func (s *store) List(ctx context.Context) ([]lease.Lease, error) {
	leases, err := s.list(ctx)
	return leases, s.explain("reading", err)
}

// list reads by endpoint, and checks that both buckets agree.
func (s *store) list(ctx context.Context) (leases []lease.Lease, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			leases, err = readAll(tx)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return leases, nil
}

func readAll(tx *bbolt.Tx) (leases []lease.Lease, err error) {
	byKey, byPort := tx.Bucket(leasesBucket), tx.Bucket(portsBucket)
	if byKey == nil || byPort == nil {
		return nil, fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	err = byPort.ForEach(func(endpoint, key []byte) error {
		l, err := find(tx, key)
		if err != nil {
			return err
		}
		if !bytes.Equal(endpoint, encodeEndpoint(l.Endpoint())) {
			return fmt.Errorf("%w: the port or domain %x and its record do not agree", errDamaged, endpoint)
		}
		leases = append(leases, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	count := 0
	err = byKey.ForEach(func(_, _ []byte) error { count++; return nil })
	if err == nil && count != len(leases) {
		err = fmt.Errorf("%w: %d records but %d ports and domains", errDamaged, count, len(leases))
	}
	slices.SortFunc(leases, func(a, b lease.Lease) int { return a.Endpoint().Compare(b.Endpoint()) })
	return leases, err
}

// History implements [lease.Store].
func (s *store) History(ctx context.Context) ([]lease.Ended, error) {
	history, err := s.history(ctx)
	return history, s.explain("reading", err)
}

func (s *store) history(ctx context.Context) (history []lease.Ended, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(historyBucket)
			if bucket == nil {
				return fmt.Errorf("%w: a bucket is missing", errDamaged)
			}
			return bucket.ForEach(func(port, data []byte) error {
				e, err := decodeEnded(port, data)
				history = append(history, e)
				return err
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return history, nil
}

// Close implements [lease.Store].
func (s *store) Close() error {
	return s.explain("closing", s.db.Close())
}

// update runs a transaction. The wait for the previous one is short; once begun, ctx does not end it.
func (s *store) update(ctx context.Context, change func(*bbolt.Tx) error) error {
	return guard(func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.db.Update(func(tx *bbolt.Tx) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return change(tx)
		})
	})
}
