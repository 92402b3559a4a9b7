package stripes

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"apquic/quicproxy/internal/buffer"
)

// pattern returns n bytes that differ from those at other offsets.
func pattern(offset, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte((offset + i) * 31 >> 3)
	}
	return p
}

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
		begin := random.Uint64N(3 * buffer.Size)
		memory := 0
		r := Reassembly{begin: begin, count: func(n int) { memory += n }}
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
				if err := r.EndAt(total); err != nil {
					t.Fatal(err)
				}
			}
			if i == len(pieces) {
				break
			}
			n := pieces[i]
			if err := r.Put(n.begin, pattern(int(n.begin), int(n.end-n.begin))); err != nil {
				t.Fatal(err)
			}
			if random.IntN(3) == 0 {
				b := make([]byte, random.IntN(100_000))
				got = append(got, b[:r.Take(b)]...)
			}
			if memory != r.memory || memory != len(r.pages)*buffer.Size {
				t.Fatalf("%d bytes counted, %d pages", memory, len(r.pages))
			}
		}
		if r.Arrived() != total+1 {
			t.Fatalf("seed %d: %d arrived of %d", seed, r.Arrived(), total)
		}
		b := make([]byte, total-begin)
		got = append(got, b[:r.Take(b)]...)
		if !bytes.Equal(got, pattern(int(begin), int(total-begin))) || !r.AtEnd() || memory != 0 {
			t.Fatalf("seed %d: %d bytes of %d, %d still held", seed, len(got), total-begin, memory)
		}
	}
}
