package stripes

import (
	"testing"
	"time"
)

// TestAhead: a sender is as far ahead as the reader is fast.
func TestAhead(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	a := NewWindow(now)
	acks := func(bytes, times int, every, rtt time.Duration) {
		for range times {
			now = now.Add(every)
			a.Ack(bytes, rtt, now)
		}
	}
	acks(600_000, 20, 100*time.Millisecond, 50*time.Millisecond)
	if a.Limit() != MaxWindow {
		t.Errorf("at 6 MB/s: %d", a.Limit())
	}
	acks(2000, 100, 100*time.Millisecond, 50*time.Millisecond)
	if a.Limit() != MinWindow {
		t.Errorf("at 20 kB/s: %d", a.Limit())
	}
	acks(MinWindow, 20, 2*time.Second, 2*time.Second)
	if a.Limit() < 2*MinWindow {
		t.Errorf("a window of %d each 2 s, in round trips of 2 s: %d", MinWindow, a.Limit())
	}
}
