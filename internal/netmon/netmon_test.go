package netmon

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

func TestSource(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	if got := Source(netip.AddrPortFrom(loopback, 9)); got != loopback {
		t.Errorf("source %v", got)
	}
	if got := Source(netip.AddrPort{}); got.IsValid() && !got.IsUnspecified() && !got.IsLoopback() {
		t.Errorf("the source to nowhere is %v", got)
	}
}

// TestWatchEnds: nothing of it is left when its context has ended.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, func() {})
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("Watch goes on")
	}
}
