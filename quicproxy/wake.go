package quicproxy

import (
	"context"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/conn"
)

const (
	// wakePause is the time between two Keepalives of a node that is asked for them: anybody may send the datagram.
	wakePause = time.Second
	// wakeEvery spreads the nodes that come back over the time that their handshakes take a server.
	wakeEvery = time.Millisecond
	// wakeRounds are sent wakeRoundPause apart, since a datagram may be lost.
	wakeRounds     = 3
	wakeRoundPause = 500 * time.Millisecond
)

// wakeNodes tells the nodes that were here before the server was restarted.
func (s *Server) wakeNodes(ctx context.Context, transport *quic.Transport, peers []Peer) {
	for _, peer := range peers {
		s.strange.account.Know(peer.Address.Addr().Unmap(), time.Now())
	}
	for range wakeRounds {
		for _, peer := range peers {
			if sleep(ctx, wakeEvery); ctx.Err() != nil {
				return
			}
			transport.WriteTo([]byte(conn.WakeDatagram), net.UDPAddrFromAddrPort(peer.Address))
		}
		sleep(ctx, wakeRoundPause)
	}
}

// heedWakes has the path watched at once when the server asks for it.
func (l *link) heedWakes(ctx context.Context) {
	for ctx.Err() == nil {
		var datagram [len(conn.WakeDatagram) + 1]byte
		n, _, err := l.transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if string(datagram[:n]) == conn.WakeDatagram {
			signal(l.path.woken)
			sleep(ctx, wakePause)
		}
	}
}
