package server

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/server/internal/peers"
)

// Peer is where a node was.
type Peer = peers.Peer

// Peers remembers where the nodes were, across restarts.
type Peers = peers.Store

// rememberPeers wakes the nodes that were here before a restart, and saves where they are for the next one,
// until ctx ends. A stopping server keeps what it knew last, since its nodes are told of the end.
func (s *Server) rememberPeers(ctx context.Context, wake func([]Peer)) {
	known, before := peers.Load(s.config.Peers, s.log, s.nameOf)
	var waking sync.WaitGroup
	defer waking.Wait()
	waking.Go(func() { wake(before) })
	known.Run(ctx, s.config.IdleTimeout, s.registry.addresses)
}

// wakeNodes wakes the nodes that were here before the server was restarted.
func (s *Server) wakeNodes(ctx context.Context, transport *quic.Transport, before []Peer) {
	for _, peer := range before {
		s.strange.Know(peer.Address.Addr())
	}
	peers.Wake(ctx, before, func(at netip.AddrPort) { transport.WriteTo([]byte(path.WakeDatagram), net.UDPAddrFromAddrPort(at)) })
}

// addresses returns where the nodes with a primary connection are.
func (r *registry) addresses() map[certs.NodeID]netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	addresses := make(map[certs.NodeID]netip.AddrPort, len(r.sessions))
	for key, session := range r.sessions {
		if c := session.primaryLocked(); c != nil && !key.connects {
			addresses[key.node] = netaddr.Endpoint(c.QUIC.RemoteAddr())
		}
	}
	return addresses
}
