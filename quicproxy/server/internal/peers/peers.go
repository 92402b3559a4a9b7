// Package peers remembers across restarts of a server where its nodes were.
//
// It must not know connections: it is told where the nodes are.
package peers

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/quicproxy/internal/wait"
)

const (
	// saveWithin is how old the addresses are at most that a crash leaves.
	saveWithin = 250 * time.Millisecond
	// Nodes whose addresses change without end get one write in saveEvery, after a burst: a node behind a
	// broken NAT must not wear out a memory card.
	saveEvery = 5 * time.Second
	saveBurst = 20
)

// Peer is where a node was.
type Peer struct {
	Node    certs.NodeID
	Address netip.AddrPort
}

// Store keeps peers. Losing them costs time only: nodes then notice a restart with their next keepalive.
type Store interface {
	Load() ([]Peer, error)
	Save([]Peer) error
}

// Log is where the nodes are that are here, and where those were that were here before a restart and have not
// come yet: a server that crashes once more wakes them again.
type Log struct {
	store     Store
	log       *slog.Logger
	addresses map[certs.NodeID]netip.AddrPort
	expected  map[certs.NodeID]bool
	changed   bool
}

// Load returns a Log with what is in store, and that.
func Load(store Store, log *slog.Logger) (*Log, []Peer) {
	before, err := store.Load()
	if err != nil {
		log.Warn("where the nodes were is not known; they come back with their next keepalive", "err", err)
	}
	l := &Log{store: store, log: log, addresses: make(map[certs.NodeID]netip.AddrPort), expected: make(map[certs.NodeID]bool)}
	for _, peer := range before {
		l.addresses[peer.Node], l.expected[peer.Node] = peer.Address, true
	}
	return l, before
}

// Run saves the addresses within saveWithin of a change, until ctx ends; here says where the nodes are, which it is asked
// for, since QUIC tells nobody of a NAT that gave a node another address. Nodes that do not come within patience have
// noticed the restart long ago.
func (l *Log) Run(ctx context.Context, patience time.Duration, here func() map[certs.NodeID]netip.AddrPort) {
	start := time.Now()
	writes := rate.NewLimiter(rate.Every(saveEvery), saveBurst)
	failing := false
	for {
		if wait.Sleep(ctx, saveWithin); ctx.Err() != nil {
			return
		}
		if time.Since(start) > patience {
			l.expected = nil
		}
		l.look(here())
		if !l.changed || !writes.Allow() {
			continue
		}
		err := l.store.Save(l.peers())
		if err != nil && !failing {
			l.log.Warn("where the nodes are cannot be saved; after a crash they come back later than they could", "err", err)
		}
		failing = err != nil
		l.changed = failing
	}
}

// look takes note of where the nodes are.
func (l *Log) look(here map[certs.NodeID]netip.AddrPort) {
	for node, address := range here {
		if l.addresses[node] != address {
			l.addresses[node], l.changed = address, true
		}
		delete(l.expected, node)
	}
	for node := range l.addresses {
		if _, present := here[node]; !present && !l.expected[node] {
			delete(l.addresses, node)
			l.changed = true
		}
	}
}

func (l *Log) peers() []Peer {
	peers := make([]Peer, 0, len(l.addresses))
	for node, address := range l.addresses {
		peers = append(peers, Peer{node, address})
	}
	return peers
}
