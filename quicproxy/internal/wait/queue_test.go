package wait

import (
	"slices"
	"testing"
	"testing/synctest"
)

// TestQueue: things are processed in order, no more than its limit wait, and nothing is left when it is
// closed.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue[int]
		var done []int
		next := make(chan struct{})
		do := func(i int) { <-next; done = append(done, i) }
		for i := range 3 {
			if !q.Add(i, 3, do) {
				t.Errorf("no room for %d", i)
			}
		}
		if q.Add(3, 3, do) {
			t.Error("room for more than its limit")
		}
		next <- struct{}{}
		synctest.Wait()
		if !q.Add(4, 3, do) {
			t.Error("no room though one was done")
		}
		close(next)
		synctest.Wait()
		if !q.Add(5, 3, do) {
			t.Error("an empty queue takes nothing")
		}
		q.Close()
		if want := []int{0, 1, 2, 4, 5}; !slices.Equal(done, want) {
			t.Errorf("done were %v, want %v", done, want)
		}
		if q.Add(6, 3, do) {
			t.Error("a closed queue takes something")
		}
	})
}
