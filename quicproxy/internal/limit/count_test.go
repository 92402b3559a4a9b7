package limit

import (
	"sync"
	"testing"
)

// TestCount: however many come at once, no more than the limit are admitted.
func TestCount(t *testing.T) {
	t.Parallel()
	var c Count
	var in Count
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if c.Take(10) {
				in.Take(100)
			}
		})
	}
	all.Wait()
	if c.Len() != 10 || in.Len() != 10 {
		t.Errorf("%d and %d of 10", c.Len(), in.Len())
	}
	c.Give()
	if !c.Take(10) || c.Take(10) {
		t.Error("a place that was given back is not exactly one")
	}
}
