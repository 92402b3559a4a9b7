package quicproxy_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"apquic/quicproxy/internal/keepalive"
)

// bindingMemory is a NATBindingStore in memory.
type bindingMemory struct {
	mu       sync.Mutex
	bindings []NATBinding
	saves    int
}

func (m *bindingMemory) Load() ([]NATBinding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.bindings), nil
}

func (m *bindingMemory) Save(bindings []NATBinding) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bindings, m.saves = bindings, m.saves+1
	return nil
}

// patient lets a server have long keepalives.
func patient(c *ServerConfig) { c.IdleTimeout = 15 * time.Minute }

// auto makes a node learn its keepalive.
func auto(c *NodeConfig) { c.Keepalive, c.IdleTimeout = AutoKeepalive, 15*time.Minute }

// keepalives returns those of the connection in use; nil: there is none.
func (r *running) keepalives() *keepalive.Schedule {
	return r.node.Inspect().Keepalives
}

func (r *running) interval() time.Duration {
	if s := r.keepalives(); s != nil {
		return s.Interval()
	}
	return 0
}

// learned waits until the node has nothing more to learn, and returns its interval.
func (r *running) learned(t *testing.T) time.Duration {
	t.Helper()
	for range 360 {
		time.Sleep(10 * time.Second) // virtual
		if s := r.keepalives(); s != nil && s.Done(time.Now()) {
			return s.Interval()
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
