package quicproxy

import (
	"context"
	"net"
	"net/netip"
	"slices"
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
	// savePeersEvery bounds how old the addresses are that a crash leaves.
	savePeersEvery = 5 * time.Second
)

// Peers remembers across restarts where the nodes were. Losing it loses time only: nodes then notice a restart
// with their next keepalive.
type Peers interface {
	Load() ([]netip.AddrPort, error)
	Save([]netip.AddrPort) error
}

// wakeNodes tells the nodes that were here before the server was restarted.
func (s *Server) wakeNodes(ctx context.Context, transport *quic.Transport) {
	peers, err := s.config.Peers.Load()
	if err != nil {
		s.log.Warn("where the nodes were is not known; they come back with their next keepalive", "err", err)
		return
	}
	for range wakeRounds {
		for _, peer := range peers {
			if sleep(ctx, wakeEvery); ctx.Err() != nil {
				return
			}
			transport.WriteTo([]byte(wakeDatagram), net.UDPAddrFromAddrPort(peer))
		}
		sleep(ctx, wakeRoundPause)
	}
}

// savePeers keeps what wakeNodes needs after a crash, until ctx ends.
func (s *Server) savePeers(ctx context.Context) {
	var saved []netip.AddrPort
	for {
		if sleep(ctx, savePeersEvery); ctx.Err() != nil {
			return
		}
		peers := s.addresses()
		if slices.Equal(peers, saved) {
			continue
		}
		if err := s.config.Peers.Save(peers); err != nil {
			s.log.Warn("where the nodes are cannot be saved; after a crash they come back later than they could", "err", err)
		}
		saved = peers
	}
}

// addresses are those of the connections in use, sorted.
func (s *Server) addresses() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	peers := make([]netip.AddrPort, 0, len(s.sessions))
	for _, session := range s.sessions {
		if len(session.conns) == 0 {
			continue
		}
		if udp, ok := session.conns[len(session.conns)-1].quic.RemoteAddr().(*net.UDPAddr); ok {
			peers = append(peers, udp.AddrPort())
		}
	}
	slices.SortFunc(peers, netip.AddrPort.Compare)
	return peers
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
