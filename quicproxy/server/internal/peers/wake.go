package peers

import (
	"context"
	"net/netip"
	"time"

	"apquic/quicproxy/internal/wait"
)

const (
	// wakeEvery spreads returning nodes over the time that the server needs for their handshakes.
	wakeEvery = time.Millisecond
	// wakeRounds are sent wakeRoundPause apart, since a datagram may be lost.
	wakeRounds     = 3
	wakeRoundPause = 500 * time.Millisecond
)

// Wake calls wake with the address of each peer, several times, until ctx ends.
func Wake(ctx context.Context, peers []Peer, wake func(netip.AddrPort)) {
	for range wakeRounds {
		for _, peer := range peers {
			if wait.Sleep(ctx, wakeEvery); ctx.Err() != nil {
				return
			}
			wake(peer.Address)
		}
		wait.Sleep(ctx, wakeRoundPause)
	}
}
