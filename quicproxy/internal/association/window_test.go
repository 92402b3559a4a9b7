package association

import (
	"math/rand/v2"
	"testing"
)

// TestWindow: no number is new twice, whatever the order, and what is far behind never is.
func TestWindow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 0))
		var w window
		seen := make(map[uint64]bool)
		top := uint64(0)
		for range 20_000 {
			number := top + 1
			switch random.IntN(10) {
			case 0:
				number = 1 + random.Uint64N(top+1)
			case 1:
				number = top + random.Uint64N(1<<random.IntN(20)) + 1
			case 2:
				number = top - min(top-min(top, 1), random.Uint64N(2*windowSize)) + min(1, 1-min(top, 1))
			}
			if number == 0 {
				continue
			}
			isNew := !seen[number] && (number > top || top-number < windowSize)
			if w.has(number) == isNew || w.add(number) != isNew || !w.has(number) {
				t.Fatalf("seed %d: %d is new: %v, top %d", seed, number, isNew, top)
			}
			seen[number] = true
			top = max(top, number)
		}
	}
	var w window
	if !w.add(1<<64-1) || w.add(1<<64-1) || w.add(1) || !w.add(1<<64-2) {
		t.Error("the largest numbers")
	}
}
