package account

import "sync"

// sweepFrom is how many things are kept before those that no longer exist are looked for.
const sweepFrom = 1024

// Shares counts which things, such as leases, belong to whom, and lets nobody have more than max. A thing
// counts until it no longer exists, which is checked when its place is needed, so that no order of events
// frees it earlier.
type Shares[O, T comparable] struct {
	exists func(T) bool // called with mu held

	mu      sync.Mutex
	max     int
	things  map[T]*owned[O]
	owners  map[O]map[T]struct{}
	sweepAt int // at this number of things all are checked
}

// owned is a thing.
type owned[O comparable] struct {
	owner  O
	making int // calls of Take without Settle: it may soon exist
}

// NewShares lets each owner have max things.
func NewShares[O, T comparable](max int, exists func(T) bool) *Shares[O, T] {
	return &Shares[O, T]{
		max: max, exists: exists, things: make(map[T]*owned[O]), owners: make(map[O]map[T]struct{}), sweepAt: sweepFrom,
	}
}

// SetMax lets each owner have max things; nobody loses any.
func (s *Shares[O, T]) SetMax(max int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = max
}

// Max is how many things an owner may have.
func (s *Shares[O, T]) Max() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.max
}

// Take makes thing, which is about to be made, the owner's, and reports false if the owner already has its
// share. A thing that another owner had changes hands. instead is a thing of the owner that ends when thing
// is made, and so does not count; zero: none. After true the caller calls Settle.
func (s *Shares[O, T]) Take(owner O, thing, instead T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	making := 1
	if was := s.things[thing]; was != nil {
		making += was.making
		if was.owner == owner {
			was.making = making
			return true
		}
	}
	if len(s.owners[owner]) >= s.max {
		for other := range s.owners[owner] {
			s.checkLocked(other)
		}
	}
	most := s.max
	if _, has := s.owners[owner][instead]; has {
		most++
	}
	if len(s.owners[owner]) >= most {
		return false
	}
	s.dropLocked(thing)
	if len(s.things) >= s.sweepAt {
		for other := range s.things {
			s.checkLocked(other)
		}
		s.sweepAt = max(sweepFrom, 2*len(s.things))
	}
	s.things[thing] = &owned[O]{owner, making}
	if s.owners[owner] == nil {
		s.owners[owner] = make(map[T]struct{})
	}
	s.owners[owner][thing] = struct{}{}
	return true
}

// Settle says that thing now exists, or could not be made.
func (s *Shares[O, T]) Settle(thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.things[thing]; t != nil {
		t.making--
		s.checkLocked(thing)
	}
}

// checkLocked frees the place of a thing that no longer exists.
func (s *Shares[O, T]) checkLocked(thing T) {
	if s.things[thing].making == 0 && !s.exists(thing) {
		s.dropLocked(thing)
	}
}

func (s *Shares[O, T]) dropLocked(thing T) {
	t := s.things[thing]
	if t == nil {
		return
	}
	delete(s.things, thing)
	if delete(s.owners[t.owner], thing); len(s.owners[t.owner]) == 0 {
		delete(s.owners, t.owner)
	}
}
