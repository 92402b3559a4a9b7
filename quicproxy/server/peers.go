package server

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/quicproxy/internal/wait"
)

const (
	// savePeersWithin is how old the addresses are at most that a crash leaves.
	savePeersWithin = 250 * time.Millisecond
	// Nodes whose addresses change without end get one write in savePeersEvery, after a burst: a node behind a
	// broken NAT must not wear out a memory card.
	savePeersEvery = 5 * time.Second
	savePeersBurst = 20
)

// Peer is where a node was.
type Peer struct {
	Node    certs.NodeID
	Address netip.AddrPort
}

// Peers remembers across restarts where the nodes were. Losing it loses time only: nodes then notice a restart
// with their next keepalive.
type Peers interface {
	Load() ([]Peer, error)
	Save([]Peer) error
}

// rememberPeers wakes the nodes that were here before a restart, and keeps where they are for the next one, until ctx
// ends. A server that is stopped keeps what it knew last: its nodes hear of the end themselves.
func (s *Server) rememberPeers(ctx context.Context, wake func([]Peer)) {
	before, err := s.config.Peers.Load()
	if err != nil {
		s.log.Warn("where the nodes were is not known; they come back with their next keepalive", "err", err)
	}
	var waking sync.WaitGroup
	defer waking.Wait()
	waking.Go(func() { wake(before) })
	s.savePeers(ctx, newPeerLog(before))
}

// savePeers saves the addresses within savePeersWithin of a change. It looks for one, since QUIC tells nobody of a NAT
// that gave a node another address.
func (s *Server) savePeers(ctx context.Context, known *peerLog) {
	start := time.Now()
	writes := rate.NewLimiter(rate.Every(savePeersEvery), savePeersBurst)
	failing := false
	for {
		if wait.Sleep(ctx, savePeersWithin); ctx.Err() != nil {
			return
		}
		if time.Since(start) > s.config.IdleTimeout {
			known.expected = nil // whoever has not come by now has noticed the restart long ago
		}
		s.lookForPeers(known)
		if !known.changed || !writes.Allow() {
			continue
		}
		err := s.config.Peers.Save(known.peers())
		if err != nil && !failing {
			s.log.Warn("where the nodes are cannot be saved; after a crash they come back later than they could", "err", err)
		}
		failing = err != nil
		known.changed = failing
	}
}

// peerLog is where the nodes are that are here, and where those were that were here before a restart and have not
// come yet: a server that crashes once more wakes them again.
type peerLog struct {
	addresses map[certs.NodeID]netip.AddrPort
	expected  map[certs.NodeID]bool
	changed   bool
}

func newPeerLog(before []Peer) *peerLog {
	w := &peerLog{addresses: make(map[certs.NodeID]netip.AddrPort), expected: make(map[certs.NodeID]bool)}
	for _, peer := range before {
		w.addresses[peer.Node], w.expected[peer.Node] = peer.Address, true
	}
	return w
}

func (w *peerLog) peers() []Peer {
	peers := make([]Peer, 0, len(w.addresses))
	for node, address := range w.addresses {
		peers = append(peers, Peer{node, address})
	}
	return peers
}

func (s *Server) lookForPeers(known *peerLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for node, session := range s.sessions {
		if len(session.conns) == 0 {
			continue
		}
		udp, ok := session.conns[len(session.conns)-1].QUIC.RemoteAddr().(*net.UDPAddr)
		if address := udp.AddrPort(); ok && known.addresses[node] != address {
			known.addresses[node], known.changed = address, true
		}
		delete(known.expected, node)
	}
	for node := range known.addresses {
		if here := s.sessions[node]; (here == nil || len(here.conns) == 0) && !known.expected[node] {
			delete(known.addresses, node)
			known.changed = true
		}
	}
}
