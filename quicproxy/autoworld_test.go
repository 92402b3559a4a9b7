package quicproxy

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// networkMemory is a NetworkStore in memory.
type networkMemory struct {
	mu    sync.Mutex
	known []Network
	saves int
	err   error
}

func (m *networkMemory) Load() ([]Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.known), m.err
}

func (m *networkMemory) Save(known []Network) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.saves = known, m.saves+1
	return m.err
}

// patient lets a server have long keepalives.
func patient(c *ServerConfig) { c.IdleTimeout = 15 * time.Minute }

// auto makes a node learn its keepalive.
func auto(c *NodeConfig) { c.Keepalive, c.IdleTimeout = AutoKeepalive, 15*time.Minute }

// pace is that of the connection in use.
func (r *running) pace() *pace {
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	if r.node.link == nil {
		return nil
	}
	return r.node.link.pace
}

func (r *running) interval() time.Duration {
	if p := r.pace(); p != nil {
		return p.interval()
	}
	return 0
}

// done reports whether all is known of the network that the node is in.
func (p *pace) done() bool {
	wait := p.next().wait
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settled && !p.look && wait > 24*time.Hour
}

// learned waits until the node has nothing more to find out, and returns its interval.
func (r *running) learned(t *testing.T) time.Duration {
	t.Helper()
	for range 360 {
		time.Sleep(10 * time.Second) // virtual
		if p := r.pace(); p != nil && p.done() {
			return p.interval()
		}
	}
	t.Fatal("after an hour the node still searches")
	return 0
}

// reachable checks for a while that clients are served at once.
func (w *world) reachable(t *testing.T, during time.Duration) {
	t.Helper()
	const every = 437 * time.Second // falls anywhere between keepalives
	for begin := time.Now(); time.Since(begin) < during; time.Sleep(min(every, during-time.Since(begin))) {
		before := time.Now()
		c := w.visit("20000")
		exchange(t, c, "hello")
		c.Close()
		if took := time.Since(before); took > time.Second {
			t.Errorf("after %v a client had to wait for %v", before.Sub(begin), took)
		}
	}
}
