package relay

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// TestSpans compares a set of bytes with one of single bytes.
func TestSpans(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 3))
		var s spans
		var want [60]bool
		for range 40 {
			a, b := random.Uint64N(60), random.Uint64N(60)
			n := span{min(a, b), max(a, b)}
			switch random.IntN(4) {
			case 0:
				s.dropBefore(n.begin / 4)
				clear(want[:n.begin/4])
			default:
				for _, m := range s.missing(n) {
					for i := m.begin; i < m.end; i++ {
						if want[i] {
							t.Fatalf("seed %d: %d is missing", seed, i)
						}
						want[i] = true
					}
				}
				for i := n.begin; i < n.end; i++ {
					if !want[i] {
						t.Fatalf("seed %d: %d is not missing", seed, i)
					}
				}
				s.add(n)
			}
			var got [60]bool
			for i, n := range s {
				if n.begin >= n.end || i > 0 && n.begin <= s[i-1].end {
					t.Fatalf("seed %d: %v", seed, s)
				}
				for j := n.begin; j < n.end; j++ {
					got[j] = true
				}
			}
			if got != want {
				t.Fatalf("seed %d: %v, want %v", seed, got, want)
			}
		}
	}
}

// TestReassembly puts pieces in random order, some twice, and takes what there is.
func TestReassembly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 4))
		begin := random.Uint64N(3 * Size)
		memory := 0
		r := reassembly{begin: begin, count: func(n int) { memory += n }}
		total := begin + random.Uint64N(600_000)
		var pieces []span
		for at := begin; at < total; {
			n := span{at, min(total, at+1+random.Uint64N(20_000))}
			pieces = append(pieces, n)
			at = n.end
			if random.IntN(4) == 0 {
				pieces = append(pieces, span{n.begin - min(n.begin, random.Uint64N(100)), n.end})
			}
		}
		random.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		endAfter := random.IntN(len(pieces) + 1)
		var got []byte
		for i := range len(pieces) + 1 {
			if i == endAfter {
				if err := r.endAt(total); err != nil {
					t.Fatal(err)
				}
			}
			if i == len(pieces) {
				break
			}
			n := pieces[i]
			if err := r.put(n.begin, patternAt(int(n.begin), int(n.end-n.begin))); err != nil {
				t.Fatal(err)
			}
			if random.IntN(3) == 0 {
				b := make([]byte, random.IntN(100_000))
				got = append(got, b[:r.take(b)]...)
			}
			if memory != r.memory || memory != len(r.pages)*Size {
				t.Fatalf("%d bytes counted, %d pages", memory, len(r.pages))
			}
		}
		if r.arrived() != total+1 {
			t.Fatalf("seed %d: %d arrived of %d", seed, r.arrived(), total)
		}
		b := make([]byte, total-begin)
		got = append(got, b[:r.take(b)]...)
		if !bytes.Equal(got, patternAt(int(begin), int(total-begin))) || !r.atEnd() || memory != 0 {
			t.Fatalf("seed %d: %d bytes of %d, %d still held", seed, len(got), total-begin, memory)
		}
	}
}

// TestSchedule plays a sender and stripes that lose what they have: each byte is in one place, and all arrive.
func TestSchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 5))
		s := newSchedule[int](1000)
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
				before := s.waiting(total)
				n, ok := s.take(k, total, now)
				if ok != (before > 0) || ok && (n.end-n.begin > pieceSize || n.begin >= n.end) || s.waiting(total) != before-(n.end-n.begin) {
					t.Fatalf("seed %d: took %v, %v of %d", seed, n, ok, before)
				}
			case 3:
				for _, p := range s.inFlight[k] {
					if random.IntN(2) == 0 {
						there.add(p.span)
					}
				}
			case 4:
				if random.IntN(3) == 0 {
					s.lost(k)
				}
			case 5:
				if at := (spans{{0, 1000}}); len(there) > 0 && there[0].begin <= max(s.arrived, at[0].end) {
					s.arrive(there[0].end)
				}
			}
			wantOnce(t, seed, s, total)
		}
	}
}

// wantOnce wants each byte in one place.
func wantOnce(t *testing.T, seed uint64, s *schedule[int], total uint64) {
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
	if k, p, ok := s.first(); ok && (p.begin != s.arrived || len(s.inFlight[k]) == 0) {
		t.Fatalf("seed %d: the first is %v, %d arrived", seed, p, s.arrived)
	}
}

// TestAhead: a sender is as far ahead as the reader is fast.
func TestAhead(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	a := newSendWindow(now)
	acks := func(bytes, times int, every, rtt time.Duration) {
		for range times {
			now = now.Add(every)
			a.ack(bytes, rtt, now)
		}
	}
	acks(600_000, 20, 100*time.Millisecond, 50*time.Millisecond)
	if a.limit != stripeWindow {
		t.Errorf("at 6 MB/s: %d", a.limit)
	}
	acks(2000, 100, 100*time.Millisecond, 50*time.Millisecond)
	if a.limit != minSendWindow {
		t.Errorf("at 20 kB/s: %d", a.limit)
	}
	acks(minSendWindow, 20, 2*time.Second, 2*time.Second)
	if a.limit < 2*minSendWindow {
		t.Errorf("a window of %d each 2 s, in round trips of 2 s: %d", minSendWindow, a.limit)
	}
}
