package limit

import "testing"

func TestShares(t *testing.T) {
	t.Parallel()
	s := NewShares[string, int](2)
	take := func(owner string, thing int, want bool) {
		t.Helper()
		if got := s.Take(owner, thing); got != want {
			t.Errorf("%s takes %d: %v, want %v", owner, thing, got, want)
		}
	}
	take("a", 1, true)
	take("a", 2, true)
	take("a", 2, true) // again
	take("a", 3, false)
	take("b", 2, true) // it changed hands
	take("a", 3, true)
	take("a", 2, false)
	s.Give(1)
	s.Give(1)
	s.Give(99)
	take("a", 2, true)
	take("b", 4, true)
	take("b", 5, true)
	take("b", 6, false)
	for thing := range 10 {
		s.Give(thing)
	}
	if len(s.owners)+len(s.counts) != 0 {
		t.Errorf("%d things of %d owners are left", len(s.owners), len(s.counts))
	}
}
