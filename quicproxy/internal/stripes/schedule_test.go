package stripes

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestSchedule plays a sender and stripes that lose what they have: each byte is in one place, and all arrive.
func TestSchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 5))
		s := NewSchedule[int](1000)
		total, now := uint64(1000), time.Unix(0, 0)
		var there spans // at the peer
		for steps := 0; s.arrived < 500_000; steps++ {
			if steps > 100_000 {
				t.Fatalf("seed %d: %d bytes after so many steps", seed, s.arrived)
			}
			k := random.IntN(4)
			switch random.IntN(6) {
			case 0:
				total = min(total+random.Uint64N(100_000), 500_000)
			case 1, 2:
				before := s.Waiting(total)
				begin, end, ok := s.Take(k, total, now)
				if ok != (before > 0) || ok && (end-begin > PieceSize || begin >= end) || s.Waiting(total) != before-(end-begin) {
					t.Fatalf("seed %d: took %d to %d, %v of %d", seed, begin, end, ok, before)
				}
			case 3:
				for _, p := range s.inFlight[k] {
					if random.IntN(2) == 0 {
						there.add(p.span)
					}
				}
			case 4:
				if random.IntN(3) == 0 {
					s.Lost(k)
				}
			case 5:
				if at := (spans{{0, 1000}}); len(there) > 0 && there[0].begin <= max(s.arrived, at[0].end) {
					s.Arrive(there[0].end)
				}
			}
			wantOnce(t, seed, s, total)
		}
	}
}

// wantOnce wants each byte in one place.
func wantOnce(t *testing.T, seed uint64, s *Schedule[int], total uint64) {
	t.Helper()
	var all spans
	sum := uint64(0)
	add := func(n span) {
		sum += n.end - n.begin
		all.add(n)
	}
	for _, n := range s.reinject {
		add(n)
	}
	for _, pieces := range s.inFlight {
		for _, p := range pieces {
			add(p.span)
		}
	}
	if all.total() != sum || s.arrived+sum != s.next || len(all) > 1 || sum > 0 && all[0].begin != s.arrived || s.next > total {
		t.Fatalf("seed %d: %v, %d arrived, next %d of %d", seed, all, s.arrived, s.next, total)
	}
	if k, _, ok := s.First(); ok && !slices.ContainsFunc(s.inFlight[k], func(p piece) bool { return p.begin == s.arrived }) {
		t.Fatalf("seed %d: the first stripe has %v, %d arrived", seed, s.inFlight[k], s.arrived)
	}
}
