package heap

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"
)

func TestLimitFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name              string
		live, other, held int64 // MB
		want              int64
	}{
		{"nothing is held", 50, 5, 0, unlimited >> 20},
		{"little", 50, 5, 3, unlimited >> 20},
		{"as much as the rest", 96, 4, 48, 96 + 4 + 22 + 3},
		{"most", 1000, 10, 960, 1000 + 10 + 18 + 60},
		{"the least to grow by", 17, 3, 16, 17 + 3 + 2 + 1},
		{"more than lives: it came since", 20, 3, 32, 3 + 2 + 32 + 2},
		{"more may come", 10, 3, 4, 3 + 6 + 2 + 8},
	} {
		if got := limitFor(usage{test.live << 20, test.other << 20}, test.held<<20) >> 20; got != test.want {
			t.Errorf("%s: %d MB, want %d", test.name, got, test.want)
		}
	}
}

// TestFollow: after a collection the next one comes when the heap has grown by what is not held.
func TestFollow(t *testing.T) {
	var held atomic.Int64
	stop := Follow(held.Load)
	defer stop()
	bytes := make([]byte, 64<<20)
	held.Store(int64(len(bytes)))
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		metrics.Read(goal)
		if g := goal[0].Value.Uint64(); g > 64<<20 && g < 80<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the heap of %d MB may grow to %d MB", len(bytes)>>20, goal[0].Value.Uint64()>>20)
		}
	}
	runtime.KeepAlive(bytes)
}
