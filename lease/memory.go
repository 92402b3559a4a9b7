package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

var errClosed = errors.New("lease: the store is closed")

// memoryStore is a Store that ends with the process.
type memoryStore struct {
	mu     sync.Mutex
	leases map[Key]Lease
	owners map[uint16]Key
	last   uint64 // revision
	closed bool
}

// NewMemoryStore returns a Store that keeps leases in memory only.
func NewMemoryStore() Store {
	return &memoryStore{leases: make(map[Key]Lease), owners: make(map[uint16]Key)}
}

func (s *memoryStore) Put(ctx context.Context, l Lease) (Lease, error) {
	if err := l.Validate(); err != nil {
		return Lease{}, fmt.Errorf("lease: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return Lease{}, err
	}
	current := s.leases[l.Key]
	if current.Revision != l.Revision {
		return Lease{}, fmt.Errorf("revision %d is stored, not %d: %w", current.Revision, l.Revision, ErrConflict)
	}
	if owner, taken := s.owners[l.Port]; taken && owner != l.Key {
		return Lease{}, fmt.Errorf("port %d: %w", l.Port, ErrTaken)
	}
	delete(s.owners, current.Port)
	s.last++
	l.Revision = s.last
	l.HeldUntil = l.HeldUntil.Round(0) // a record has no monotonic clock
	s.leases[l.Key], s.owners[l.Port] = l, l.Key
	return l, nil
}

func (s *memoryStore) Delete(ctx context.Context, key Key, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return err
	}
	current, found := s.leases[key]
	if !found || current.Revision != revision {
		return fmt.Errorf("revision %d is stored, not %d: %w", current.Revision, revision, ErrConflict)
	}
	delete(s.leases, key)
	delete(s.owners, current.Port)
	return nil
}

func (s *memoryStore) List(ctx context.Context) ([]Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.leases), byPort), nil
}

func (s *memoryStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *memoryStore) usableLocked(ctx context.Context) error {
	if s.closed {
		return errClosed
	}
	return context.Cause(ctx)
}

func byPort(a, b Lease) int { return cmp.Compare(a.Port, b.Port) }
