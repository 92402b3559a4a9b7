package public

import (
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/server/internal/balancer"
)

// Config says what Listeners consist of; every field is required.
type Config struct {
	// Listen opens the socket of a port.
	Listen func(port uint16) (net.Listener, error)
	// Ended is called with a port whose socket was closed because its lease ended.
	Ended func(port uint16)
	// Park is how long a client waits for a node that is away; 0 or less: not at all.
	Park time.Duration
	// Balancers are the networks of load balancers, which must say whom they connect for; none by default.
	Balancers []netip.Prefix
	Clients   *clients.Places
	Log       *slog.Logger
}

// Listeners are the listeners of all leases.
type Listeners struct {
	config    Config
	log       *slog.Logger
	balancers *balancer.Balancers
	refused   atomic.Uint64

	accepting, serving sync.WaitGroup // accept loops, and clients
	stopped            chan struct{}  // closed by Stop

	mu     sync.Mutex
	byPort map[uint16]*Listener
	byNode map[certs.NodeID]map[uint16]*Listener // the same, by node
	ended  bool                                  // leases no longer open ports
}

// New returns Listeners without any port.
func New(config Config) *Listeners {
	return &Listeners{
		config: config, log: config.Log, balancers: balancer.New(config.Balancers), stopped: make(chan struct{}),
		byPort: make(map[uint16]*Listener), byNode: make(map[certs.NodeID]map[uint16]*Listener),
	}
}

// Bind opens the listener of a lease; it implements lease.Binder.
func (s *Listeners) Bind(l lease.Lease) error {
	if !s.config.Clients.Reserve(1) {
		return s.noDescriptor()
	}
	listener, err := s.config.Listen(l.Port)
	if err != nil {
		s.config.Clients.Reserve(-1)
		if isShortage(err) {
			return s.noDescriptor()
		}
		return err
	}
	p := &Listener{all: s, Key: l.Key, Port: l.Port, listener: listener}
	p.service = clients.Service{Node: l.Node.String(), Name: l.Service}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		listener.Close()
		s.config.Clients.Reserve(-1)
		return errPortClosed
	}
	s.byPort[l.Port] = p
	if s.byNode[l.Node] == nil {
		s.byNode[l.Node] = make(map[uint16]*Listener)
	}
	s.byNode[l.Node][l.Port] = p
	s.accepting.Go(p.accept)
	return nil
}

// Unbind closes the listener of a lease; it implements lease.Binder. Running relays go on.
func (s *Listeners) Unbind(l lease.Lease) {
	s.mu.Lock()
	p := s.byPort[l.Port]
	delete(s.byPort, l.Port)
	if delete(s.byNode[l.Node], l.Port); len(s.byNode[l.Node]) == 0 {
		delete(s.byNode, l.Node)
	}
	s.mu.Unlock()
	if p != nil {
		p.close()
		s.config.Clients.Reserve(-1)
		s.config.Ended(l.Port)
	}
}

// At returns the listener of a port; nil: there is none.
func (s *Listeners) At(port uint16) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byPort[port]
}

// OwnerChanged makes the clients of a node check one of its connections again: it became silent, or no longer
// is.
func (s *Listeners) OwnerChanged(node certs.NodeID, t Target) {
	s.mu.Lock()
	listeners := slices.Collect(maps.Values(s.byNode[node]))
	s.mu.Unlock()
	for _, p := range listeners {
		p.ownerChanged(t)
	}
}

// Traffic returns the traffic of each open port.
func (s *Listeners) Traffic() map[uint16]Traffic {
	traffic := make(map[uint16]Traffic)
	for _, p := range s.all() {
		traffic[p.Port] = p.Traffic()
	}
	return traffic
}

// Refused returns how many clients were reset without a relay.
func (s *Listeners) Refused() uint64 { return s.refused.Load() }

// Stop accepts no more clients and resets those that wait. New clients wait in the queues of the sockets,
// until Close.
func (s *Listeners) Stop() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	close(s.stopped)
	s.balancers.Stop()
	for _, p := range s.all() {
		p.stopAccepting()
	}
	s.accepting.Wait()
}

// Close closes the sockets, after Stop.
func (s *Listeners) Close() {
	for _, p := range s.all() {
		p.listener.Close()
	}
}

// Wait returns when the last client has left.
func (s *Listeners) Wait() { s.serving.Wait() }

func (s *Listeners) all() []*Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.byPort))
}
