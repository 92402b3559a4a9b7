package buffer

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// pattern returns n bytes that differ from those at other offsets.
func pattern(offset, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte((offset + i) * 31 >> 3)
	}
	return p
}

// TestKept: whatever is added, read and released, the bytes are those that were given, and the count is that of the memory.
func TestKept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		counted := 0
		k := Unacked{count: func(n, before int) { counted += n - before }}
		var pinned []*Chunk
		for range 500 {
			switch random.IntN(5) {
			case 0, 1:
				n := 1 + random.IntN(1<<random.IntN(17))
				n = min(n, Size)
				p := New([]int{n, min(n+random.IntN(MaxChunk), MaxChunk+n), Size}[random.IntN(3)])
				copy(p, pattern(int(k.end), n))
				counted += cap(p)
				k.Add(p[:n], cap(p))
			case 2:
				if k.Size() > 0 {
					at := k.begin + random.Uint64N(uint64(k.Size()))
					p, c := k.From(at)
					if !bytes.Equal(p, pattern(int(at), len(p))) {
						t.Fatalf("seed %d: wrong bytes at %d", seed, at)
					}
					pinned = append(pinned, c)
				}
			case 3:
				k.Release(k.begin + random.Uint64N(uint64(k.Size()+1)))
			case 4:
				if len(pinned) > 0 {
					i := random.IntN(len(pinned))
					c := pinned[i]
					if !bytes.Equal(c.data, pattern(int(c.begin), len(c.data))) {
						t.Fatalf("seed %d: a pinned buffer is somebody else's", seed)
					}
					k.Unpin(c)
					pinned = append(pinned[:i], pinned[i+1:]...)
				}
			}
			if counted < k.Size() {
				t.Fatalf("seed %d: %d bytes of memory for %d", seed, counted, k.Size())
			}
		}
		if p, c := k.From(k.end); p != nil || c != nil {
			t.Error("something behind the end")
		}
		k.Release(k.end)
		for _, c := range pinned {
			k.Unpin(c)
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
	k := Unacked{count: func(n, before int) { counted += n - before }}
	for range 100_000 {
		k.Add(append(make([]byte, 0, 100), "hello"...), 0)
	}
	if counted > k.Size()*5/4 {
		t.Errorf("%d bytes of memory for %d", counted, k.Size())
	}
}

// TestReleased: what is released is nowhere any longer, though other chunks of the same relay stay.
func TestReleased(t *testing.T) {
	t.Parallel()
	var k Unacked
	for range 16 {
		k.Add(New(Size), 0)
	}
	all := k.chunks
	k.Release(15 * Size)
	for i, c := range all[len(k.chunks):] {
		if c != nil {
			t.Errorf("chunk %d of %d is still there", i, len(all))
		}
	}
	if len(k.chunks) != 1 || k.memory != Size {
		t.Errorf("%d chunks with %d bytes stay", len(k.chunks), k.memory)
	}
}
