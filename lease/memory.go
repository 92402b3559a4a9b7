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

// memoryStore is a Store that is lost with the process.
type memoryStore struct {
	mu     sync.Mutex
	leases map[Key]Lease
	owners map[Endpoint]Key
	ended  map[uint16]Ended
	last   uint64 // revision
	closed bool
}

// NewMemoryStore returns a Store that keeps leases only in memory.
func NewMemoryStore() Store {
	return &memoryStore{leases: make(map[Key]Lease), owners: make(map[Endpoint]Key), ended: make(map[uint16]Ended)}
}

func (s *memoryStore) Put(ctx context.Context, l Lease, ended ...Ended) (Lease, error) {
	return s.put(ctx, Lease{}, l, ended)
}

func (s *memoryStore) Move(ctx context.Context, from, l Lease, ended ...Ended) (Lease, error) {
	if from.Key == l.Key || from.Revision == 0 {
		return Lease{}, fmt.Errorf("nothing to move: %w", ErrConflict)
	}
	return s.put(ctx, from, l, ended)
}

// put stores l, instead of from if that has a revision.
func (s *memoryStore) put(ctx context.Context, from, l Lease, ended []Ended) (Lease, error) {
	if err := validateWrite(l, ended); err != nil {
		return Lease{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return Lease{}, err
	}
	current, before := s.leases[l.Key], s.leases[from.Key]
	if current.Revision != l.Revision || before.Revision != from.Revision {
		return Lease{}, fmt.Errorf("revisions %d and %d are stored, not %d and %d: %w",
			current.Revision, before.Revision, l.Revision, from.Revision, ErrConflict)
	}
	if owner, taken := s.owners[l.Endpoint()]; taken && owner != l.Key && owner != before.Key {
		return Lease{}, fmt.Errorf("%s: %w", l.Endpoint().describe(), ErrTaken)
	}
	delete(s.leases, before.Key)
	delete(s.owners, before.Endpoint())
	delete(s.owners, current.Endpoint())
	s.endLocked(ended)
	s.last++
	l.Revision = s.last
	l.HeldUntil = l.HeldUntil.Round(0) // a record has no monotonic clock
	s.leases[l.Key], s.owners[l.Endpoint()] = l, l.Key
	return l, nil
}

func (s *memoryStore) endLocked(ended []Ended) {
	for _, e := range ended {
		e.At = e.At.Round(0)
		s.ended[e.Port] = e
	}
}

func validateWrite(l Lease, ended []Ended) error {
	if err := l.Validate(); err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	return validateEnded(ended)
}

func validateEnded(ended []Ended) error {
	for _, e := range ended {
		if err := e.Validate(); err != nil {
			return fmt.Errorf("lease: %w", err)
		}
	}
	return nil
}

func (s *memoryStore) Delete(ctx context.Context, key Key, revision uint64, ended ...Ended) error {
	if err := validateEnded(ended); err != nil {
		return err
	}
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
	delete(s.owners, current.Endpoint())
	s.endLocked(ended)
	return nil
}

func (s *memoryStore) History(ctx context.Context) ([]Ended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.ended), func(a, b Ended) int { return cmp.Compare(a.Port, b.Port) }), nil
}

func (s *memoryStore) List(ctx context.Context) ([]Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.leases), byEndpoint), nil
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
