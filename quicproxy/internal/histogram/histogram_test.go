package histogram

import (
	"math"
	"testing"
	"time"
)

// TestDurations: each duration is counted below the least bound that it does not exceed.
func TestDurations(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{
		-1, 0, 1, time.Millisecond, time.Millisecond + 1, 2 * time.Millisecond, 2*time.Millisecond + 1, 4 * time.Millisecond, time.Second, 1024 * time.Millisecond,
		time.Hour, 1 << 26 * time.Millisecond, 1<<26*time.Millisecond + 1, math.MaxInt64,
	} {
		h := new(Durations)
		h.Add(d)
		told := h.Now()
		want := 0
		for want < len(told.Bounds) && told.Bounds[want] < d.Seconds() {
			want++
		}
		for i, n := range told.Counts {
			if (n == 1) != (i == want) {
				t.Errorf("%v: %d in %d, want it in %d of %v", d, n, i, want, told.Bounds)
			}
		}
		if math.Abs(told.Sum-max(d, 1).Seconds()) > 2e-6 {
			t.Errorf("%v: the sum is %v", d, told.Sum)
		}
	}
}

// TestSum: 4096 connections that last a month each are 336 years, more than a time.Duration holds.
func TestSum(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	h := new(Durations)
	for range 4096 {
		h.Add(month)
	}
	if sum, want := h.Now().Sum, 4096*month.Seconds(); sum != want {
		t.Errorf("the sum is %v, want %v", sum, want)
	}
}

func BenchmarkAdd(b *testing.B) {
	h := new(Durations)
	for b.Loop() {
		h.Add(3 * time.Second)
	}
}
