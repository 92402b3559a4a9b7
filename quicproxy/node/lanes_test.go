package node

import (
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy/internal/carrier"
)

// TestLanesAreDialledSeldom: a server that asks for lanes and closes them makes the node dial one in four
// seconds.
func TestLanesAreDialledSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dialled := newLanes(nil), 0
		if first := s.mayDial(3); first != 3 {
			t.Errorf("%d lanes at first, want 3", first)
		}
		for range 6000 {
			dialled += s.mayDial(3)
			time.Sleep(100 * time.Millisecond)
		}
		if most := 2*carrier.MaxLanes + int(10*time.Minute/laneEvery); dialled > most || dialled < most-10 {
			t.Errorf("%d lanes in 10 minutes, want %d", dialled, most)
		}
	})
}
