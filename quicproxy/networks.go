package quicproxy

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// maxNetworks bounds how many networks a node remembers.
const maxNetworks = 64

// Network is what a node has found out about the NAT of a network (AutoKeepalive).
type Network struct {
	// Name tells it from others: the public address of the NAT and the node's own.
	Name string
	// Proven is the longest idle time after which the NAT still had a mapping, Failed the shortest after which
	// it had none; 0: not known.
	Proven, Failed time.Duration
	// Found is when; zero: it must be proven again before it is used.
	Found time.Time
	// Losses is how many mappings were lost since all the same.
	Losses int
}

// NetworkStore remembers networks across restarts of a node. Losing it costs some traffic only. Save gets all
// of them, the one that was found last at the end.
type NetworkStore interface {
	Load() ([]Network, error)
	Save([]Network) error
}

// networks are those that a node knows.
type networks struct {
	store NetworkStore // nil: in memory only
	log   *slog.Logger

	mu    sync.Mutex
	known []Network // the one that was found last at the end
}

func (n *networks) load() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.store == nil {
		return
	}
	known, err := n.store.Load()
	if err != nil {
		n.log.Warn("what is known of networks cannot be read; it is found out anew", "err", err)
		return
	}
	n.known = known[max(0, len(known)-maxNetworks):]
}

// get returns a network that may be new.
func (n *networks) get(name string) Network {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.indexLocked(name); i >= 0 {
		return n.known[i]
	}
	return Network{Name: name}
}

// put remembers a network, instead of the oldest if there are too many.
func (n *networks) put(network Network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.indexLocked(network.Name); i >= 0 {
		n.known = slices.Delete(n.known, i, i+1)
	}
	n.known = append(n.known, network)
	n.known = n.known[max(0, len(n.known)-maxNetworks):]
	if n.store == nil {
		return
	}
	if err := n.store.Save(slices.Clone(n.known)); err != nil {
		n.log.Warn("what is known of networks cannot be saved; it is found out anew after a restart", "err", err)
	}
}

// distrust has a network proven again before it is used. That is not worth a write to a disk.
func (n *networks) distrust(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.indexLocked(name); i >= 0 {
		n.known[i].Found = time.Time{}
	}
}

func (n *networks) indexLocked(name string) int {
	return slices.IndexFunc(n.known, func(known Network) bool { return known.Name == name })
}
