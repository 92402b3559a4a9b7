package quicproxy

import (
	"context"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

// wakeDatagram asks a node to say something: the server was restarted, and its next message finds that out. Its
// first byte tells it from QUIC (docs/protocol.md section 9). Anybody may send it: all that it does is to make
// a node send a Keepalive, once in wakePause at most.
const wakeDatagram = "\x3fapquic/1 wake"

const (
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
			transport.WriteTo([]byte(wakeDatagram), net.UDPAddrFromAddrPort(peer.Address))
		}
		sleep(ctx, wakeRoundPause)
	}
}

// heedWakes has the path watched at once when the server asks for it.
func (l *link) heedWakes(ctx context.Context) {
	for ctx.Err() == nil {
		var datagram [len(wakeDatagram) + 1]byte
		n, _, err := l.transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if string(datagram[:n]) == wakeDatagram {
			signal(l.path.woken)
			sleep(ctx, wakePause)
		}
	}
}
