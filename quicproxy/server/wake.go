package server

import (
	"context"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

const (
	// wakeEvery spreads returning nodes over the time that the server needs for their handshakes.
	wakeEvery = time.Millisecond
	// wakeRounds are sent wakeRoundPause apart, since a datagram may be lost.
	wakeRounds     = 3
	wakeRoundPause = 500 * time.Millisecond
)

// wakeNodes wakes the nodes that were here before the server was restarted.
func (s *Server) wakeNodes(ctx context.Context, transport *quic.Transport, peers []Peer) {
	for _, peer := range peers {
		s.strange.Know(peer.Address.Addr())
	}
	for range wakeRounds {
		for _, peer := range peers {
			if wait.Sleep(ctx, wakeEvery); ctx.Err() != nil {
				return
			}
			transport.WriteTo([]byte(path.WakeDatagram), net.UDPAddrFromAddrPort(peer.Address))
		}
		wait.Sleep(ctx, wakeRoundPause)
	}
}
