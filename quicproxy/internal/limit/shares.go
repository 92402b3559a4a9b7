package limit

import "sync"

// sweepFrom is how many things are kept before those that are no more are looked for.
const sweepFrom = 1024

// Shares counts which things, such as leases, belong to whom, and lets nobody have more than so many. A thing counts
// until it does not exist any more, which is asked when the place is needed: no order of events frees it before.
type Shares[O, T comparable] struct {
	max    int
	exists func(T) bool // called with mu held

	mu      sync.Mutex
	things  map[T]*owned[O]
	owners  map[O]map[T]struct{}
	sweepAt int // so many things are looked through
}

// owned is a thing.
type owned[O comparable] struct {
	owner  O
	making int // calls of Take without Settle: it may exist soon
}

// NewShares lets each owner have max things.
func NewShares[O, T comparable](max int, exists func(T) bool) *Shares[O, T] {
	return &Shares[O, T]{
		max: max, exists: exists, things: make(map[T]*owned[O]), owners: make(map[O]map[T]struct{}), sweepAt: sweepFrom,
	}
}

// Take makes thing the owner's, which is to be made now, and reports false if that has its share already. What another
// one had changes hands. Of what the owner has, instead ends when thing is made, and does not count; the zero value if
// there is none. Whoever gets true calls Settle.
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

// Settle says that thing exists now, or could not be made.
func (s *Shares[O, T]) Settle(thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.things[thing]; t != nil {
		t.making--
		s.checkLocked(thing)
	}
}

// checkLocked frees the place of a thing that is no more.
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
