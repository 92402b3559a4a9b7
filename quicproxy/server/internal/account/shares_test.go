package account

import "testing"

func TestShares(t *testing.T) {
	t.Parallel()
	exist := make(map[int]bool)
	s := NewShares[string](2, func(thing int) bool { return exist[thing] })
	take := func(owner string, thing int, want bool) {
		t.Helper()
		if got := s.Take(owner, thing, 0); got != want {
			t.Errorf("%s takes %d: %v, want %v", owner, thing, got, want)
		}
	}
	made := func(owner string, thing int, want bool) {
		t.Helper()
		if take(owner, thing, want); want {
			exist[thing] = true
			s.Settle(thing)
		}
	}
	made("a", 1, true)
	made("a", 2, true)
	made("a", 2, true) // again
	made("a", 3, false)
	made("b", 2, true) // it changed hands
	take("a", 3, true)
	take("a", 4, false) // while 3 is made
	s.Settle(3)         // which failed
	made("a", 4, true)
	made("a", 2, false)
	delete(exist, 1)
	made("a", 2, true)
	s.Settle(99)
	take("b", 5, true)
	take("b", 5, true)
	s.Settle(5) // one of both
	take("b", 6, true)
	take("b", 7, false)
	s.Settle(5)
	s.Settle(6)
	clear(exist)
	for _, thing := range []int{2, 4} {
		take("c", thing, true)
		s.Settle(thing)
	}
	if len(s.owners)+len(s.things) != 0 {
		t.Errorf("%d things of %d owners are left", len(s.things), len(s.owners))
	}
}

// TestSharesInstead: a thing that replaces another one needs no place of its own.
func TestSharesInstead(t *testing.T) {
	t.Parallel()
	exist := map[int]bool{1: true, 2: true}
	s := NewShares[string](2, func(thing int) bool { return exist[thing] })
	for thing := range exist {
		s.Take("a", thing, 0)
		s.Settle(thing)
	}
	if s.Take("a", 3, 4) {
		t.Error("it took the place of what it did not have")
	}
	if !s.Take("a", 3, 1) {
		t.Fatal("it could not take the place of 1")
	}
	if s.Take("a", 4, 1) {
		t.Error("two took the place of 1")
	}
	delete(exist, 1)
	exist[3] = true
	s.Settle(3)
	if s.Take("a", 4, 0) {
		t.Error("a third one")
	}
}

// TestSharesForget: things that no longer exist are soon forgotten, whoever had them.
func TestSharesForget(t *testing.T) {
	t.Parallel()
	last := 0
	s := NewShares[int](2, func(thing int) bool { return thing > last-100 })
	for last = range 100_000 {
		s.Take(last, last, 0)
		s.Settle(last)
	}
	if len(s.things) > 2*sweepFrom || len(s.owners) > len(s.things) {
		t.Errorf("%d things of %d owners", len(s.things), len(s.owners))
	}
}
