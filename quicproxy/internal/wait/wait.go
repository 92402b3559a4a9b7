// Package wait has the ways to wait that are used everywhere: a signal that is not lost, a pause that ends
// early, changes that many wait for, and a queue.
package wait

import (
	"context"
	"time"
)

// Signal wakes the goroutine that waits for c, or is about to.
func Signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Sleep returns after d, or as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) { SleepOr(ctx, d, nil) }

// SleepOr is Sleep, but returns early when changed is signalled.
func SleepOr(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
