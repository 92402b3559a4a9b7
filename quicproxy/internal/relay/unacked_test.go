package relay

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestKept: whatever is added, read and released, the bytes are those that were given, and the count is that of the memory.
func TestKept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		counted := 0
		k := unacked{count: func(n, before int) { counted += n - before }}
		var pinned []*chunk
		for range 500 {
			switch random.IntN(5) {
			case 0, 1:
				n := 1 + random.IntN(1<<random.IntN(17))
				n = min(n, Size)
				p := newBytes([]int{n, min(n+random.IntN(maxChunk), maxChunk+n), Size}[random.IntN(3)])
				copy(p, patternAt(int(k.end), n))
				counted += cap(p)
				k.add(p[:n], cap(p))
			case 2:
				if k.size() > 0 {
					at := k.begin + random.Uint64N(uint64(k.size()))
					p, c := k.from(at)
					if !bytes.Equal(p, patternAt(int(at), len(p))) {
						t.Fatalf("seed %d: wrong bytes at %d", seed, at)
					}
					pinned = append(pinned, c)
				}
			case 3:
				k.release(k.begin + random.Uint64N(uint64(k.size()+1)))
			case 4:
				if len(pinned) > 0 {
					i := random.IntN(len(pinned))
					c := pinned[i]
					if !bytes.Equal(c.data, patternAt(int(c.begin), len(c.data))) {
						t.Fatalf("seed %d: a pinned buffer is somebody else's", seed)
					}
					k.unpin(c)
					pinned = append(pinned[:i], pinned[i+1:]...)
				}
			}
			if counted < k.size() {
				t.Fatalf("seed %d: %d bytes of memory for %d", seed, counted, k.size())
			}
		}
		if p, c := k.from(k.end); p != nil || c != nil {
			t.Error("something behind the end")
		}
		k.release(k.end)
		for _, c := range pinned {
			k.unpin(c)
		}
		if counted != 0 {
			t.Errorf("seed %d: %d bytes are left", seed, counted)
		}
	}
}

// TestKeptInItsSize: many small pieces take little more memory than they have bytes.
func TestKeptInItsSize(t *testing.T) {
	t.Parallel()
	counted := 0
	k := unacked{count: func(n, before int) { counted += n - before }}
	for range 100_000 {
		k.add(append(make([]byte, 0, 100), "hello"...), 0)
	}
	if counted > k.size()*5/4 {
		t.Errorf("%d bytes of memory for %d", counted, k.size())
	}
}
