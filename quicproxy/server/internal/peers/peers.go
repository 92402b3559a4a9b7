// Package peers remembers where the nodes of a server were, across its restarts.
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
	"apquic/quicproxy/server/internal/naming"
)

const (
	// saveWithin is the largest age of the addresses that a crash leaves.
	saveWithin = 250 * time.Millisecond
	// A node whose address keeps changing causes one write per saveEvery, after a burst: a node behind a
	// broken NAT must not wear out a memory card.
	saveEvery = 5 * time.Second
	saveBurst = 20
)

// Peer is where a node was.
type Peer struct {
	Node    certs.NodeID
	Address netip.AddrPort
}

// Store keeps peers. Losing them only costs time: nodes then notice a restart with their next keepalive.
type Store interface {
	Load() ([]Peer, error)
	Save([]Peer) error
}

// Log is where the present nodes are, and where those were that have not come back since a restart: a server
// that crashes again wakes them once more.
type Log struct {
	store     Store
	log       *slog.Logger
	addresses map[certs.NodeID]netip.AddrPort
	expected  map[certs.NodeID]bool
	changed   bool
}

// Load returns a Log with what is in store, and that. nameOf is what the operator calls a node, or empty.
func Load(store Store, log *slog.Logger, nameOf func(certs.NodeID) string) (*Log, []Peer) {
	log = slog.New(naming.Handler{Handler: log.Handler(), NameOf: nameOf})
	before, err := store.Load()
	if err != nil {
		log.Warn("the nodes' addresses could not be loaded; they come back with their next keepalive", "err", err)
	}
	l := &Log{store: store, log: log, addresses: make(map[certs.NodeID]netip.AddrPort), expected: make(map[certs.NodeID]bool)}
	for _, peer := range before {
		l.addresses[peer.Node], l.expected[peer.Node] = peer.Address, true
	}
	return l, before
}

// Run saves the addresses within saveWithin of a change, until ctx ends. It polls here for where the nodes
// are, since QUIC does not report that a NAT gave a node another address. Nodes that do not come within
// timeout have noticed the restart long before.
func (l *Log) Run(ctx context.Context, timeout time.Duration, here func() map[certs.NodeID]netip.AddrPort) {
	start := time.Now()
	writes := rate.NewLimiter(rate.Every(saveEvery), saveBurst)
	failing := false
	for {
		if wait.Sleep(ctx, saveWithin); ctx.Err() != nil {
			return
		}
		if time.Since(start) > timeout {
			l.expected = nil
		}
		l.look(here())
		if !l.changed || !writes.Allow() {
			continue
		}
		err := l.store.Save(l.peers())
		if err != nil && !failing {
			l.log.Warn("the nodes' addresses cannot be saved; after a crash they come back with their next keepalive", "err", err)
		}
		failing = err != nil
		l.changed = failing
	}
}

// look notes where the nodes are.
func (l *Log) look(here map[certs.NodeID]netip.AddrPort) {
	for node, address := range here {
		if before := l.addresses[node]; before != address {
			if before.IsValid() && !l.expected[node] {
				l.log.Info("node roamed", "node", node, "from", before.String(), "to", address.String())
			}
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

// peers returns all addresses.
func (l *Log) peers() []Peer {
	peers := make([]Peer, 0, len(l.addresses))
	for node, address := range l.addresses {
		peers = append(peers, Peer{node, address})
	}
	return peers
}
