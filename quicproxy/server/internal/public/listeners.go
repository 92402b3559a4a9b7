package public

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/accepting"
	"apquic/quicproxy/server/internal/balancer"
	"apquic/quicproxy/server/internal/numbered"
	"apquic/quicproxy/server/internal/refusals"
	"apquic/quicproxy/server/internal/termination"
)

// Config says what Listeners consist of; every field is required unless noted.
type Config struct {
	// Listen opens the socket of a port; on all addresses of the machine by default.
	Listen func(port uint16) (net.Listener, error)
	// ListenPacket opens the UDP socket of a port; the same by default.
	ListenPacket func(port uint16) (net.PacketConn, error)
	// Ended is called with a port whose socket was closed because its lease ended; nil: not called.
	Ended func(port uint16)
	// Park is how long a client waits for a node that is away; 0 or less: not at all.
	Park time.Duration
	// Balancers are the networks of load balancers, which must say whom they connect for; none by default.
	Balancers []netip.Prefix
	Clients   *clients.Places
	// Visitors are who may visit any service, and Country tells the country of an address; nil: nothing does.
	Visitors quicproxy.Visitors
	Country  func(netip.Addr) string
	// Memory has an account for each address of a client whose domain is not known yet.
	Memory *memory.NetworkAccounts
	// Flows are the places of flows, and FlowIdle is how long one over which nothing passes is kept.
	Flows     *flowlimit.Places
	FlowIdle  time.Duration
	Datagrams *flow.Counters
	// Domain is the one below which services with a port have names; empty: they have none.
	Domain string
	// Terminator ends TLS; nil: nobody does here.
	Terminator termination.Terminator
	// Ledger is told at each Settle, which must be called every minute or so, what has passed; nil: nobody is.
	Ledger usage.Ledger
	IsOut  func(certs.NodeID) bool // of the bytes that a node may have in this month; must not be nil beside a Ledger
	Log    *slog.Logger
}

// Listeners are the listeners of all leases.
type Listeners struct {
	config    Config
	log       *slog.Logger
	balancers *balancer.Balancers
	refused   *refusals.Counts
	answered  atomic.Uint64 // here, so that they need no relay

	accepting, serving, receiving sync.WaitGroup  // accept loops, clients, and UDP sockets
	stopping                      context.Context // ended by stop, when Stop is called
	stop                          context.CancelFunc

	flows numbered.Map[*clientFlow]

	park, flowIdle atomic.Int64 // time.Durations

	settling sync.Mutex // one Settle at a time; taken before mu

	mu      sync.Mutex
	rules   quicproxy.Visitors // of the server
	country func(netip.Addr) string
	at      map[lease.Endpoint]*Listener
	byNode  map[certs.NodeID]map[lease.Endpoint]*Listener // the same, by node
	// private are the services without an endpoint, by node and name.
	private map[certs.NodeID]map[string]*Listener
	shared  []*sharedSocket
	names   map[string]*Listener // of services with a port, below the server's own domain
	ended   bool                 // leases no longer open ports
	unbound []*Listener          // whose lease has ended since the last Settle, or that have clients
	gone    [2]uint64            // bytes of flows to nodes and from them, at ports that were closed

	visitors map[*visitor]struct{} // clients whose TLS ends here
	closed   bool                  // none of them stays
}

// New returns Listeners without any lease.
func New(config Config) *Listeners {
	stopping, stop := context.WithCancel(context.Background())
	config.setDefaults()
	s := &Listeners{
		rules: config.Visitors, country: config.Country,
		config: config, log: config.Log, refused: newRefused(), balancers: balancer.New(config.Balancers), stopping: stopping, stop: stop,
		at: make(map[lease.Endpoint]*Listener), byNode: make(map[certs.NodeID]map[lease.Endpoint]*Listener), private: make(map[certs.NodeID]map[string]*Listener),
		names: make(map[string]*Listener), visitors: make(map[*visitor]struct{}),
	}
	s.SetTimes(config.Park, config.FlowIdle)
	return s
}

// Bind opens the listener of a lease; it implements lease.Binder. That of a domain needs no socket.
func (s *Listeners) Bind(l lease.Lease) error {
	p := &Listener{all: s, Key: l.Key, Endpoint: l.Endpoint()}
	p.service = clients.Service{Node: l.Node.String(), Name: l.Service}
	if l.IsGroup() {
		p.service.Node = "group " + l.Service // each has the places of a node
	}
	p.gate = visitors.NewGate(quicproxy.Visitors{}, nil) // until it stands with the others
	if l.Port != 0 {
		if err := p.open(l.Transport); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		p.closeSockets()
		return errPortClosed
	}
	s.at[p.Endpoint] = p
	p.gate.SetServer(s.rules, s.country)
	s.takeNameLocked(p)
	if s.byNode[l.Node] == nil {
		s.byNode[l.Node] = make(map[lease.Endpoint]*Listener)
	}
	s.byNode[l.Node][p.Endpoint] = p
	if p.listener != nil {
		s.accepting.Go(func() { s.accept(p.listener, p.admit, p.Attr()) })
	}
	if p.udp != nil {
		s.receiving.Go(p.udp.receive)
	}
	return nil
}

// Unbind closes the listener of a lease; it implements lease.Binder. Running relays go on.
func (s *Listeners) Unbind(l lease.Lease) {
	s.mu.Lock()
	p := s.at[l.Endpoint()]
	s.keepFlowBytesLocked(p)
	s.rememberLocked(p)
	delete(s.at, l.Endpoint())
	if delete(s.byNode[l.Node], l.Endpoint()); len(s.byNode[l.Node]) == 0 {
		delete(s.byNode, l.Node)
	}
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.close()
	s.forgetName(p)
	if l.Port != 0 {
		s.config.Ended(l.Port)
	}
}

// At returns the listener of a lease; nil: there is none.
func (s *Listeners) At(endpoint lease.Endpoint) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[endpoint]
}

// Shared returns the listener of a lease whose service other nodes than this one offer now; nil: there is none.
func (s *Listeners) Shared(key lease.Key, node certs.NodeID) *Listener {
	s.mu.Lock()
	listeners := slices.Collect(maps.Values(s.byNode[key.Node]))
	s.mu.Unlock()
	if i := slices.IndexFunc(listeners, func(p *Listener) bool { return p.Key == key && p.others(node) }); i >= 0 {
		return listeners[i]
	}
	return nil
}

// OwnerChanged makes the clients of a node check one of its connections again: it became silent, or no longer
// is.
func (s *Listeners) OwnerChanged(node certs.NodeID, t Target) {
	s.mu.Lock()
	// Its own, public and private, and the groups.
	listeners := slices.AppendSeq(slices.Collect(maps.Values(s.byNode[node])), maps.Values(s.private[node]))
	listeners = slices.AppendSeq(listeners, maps.Values(s.byNode[certs.NodeID{}]))
	s.mu.Unlock()
	for _, p := range listeners {
		p.ownerChanged(t)
	}
}

// Traffic returns the traffic of each lease with a listener.
func (s *Listeners) Traffic() map[lease.Endpoint]Traffic {
	traffic := make(map[lease.Endpoint]Traffic)
	for _, p := range s.all() {
		if !p.private {
			traffic[p.Endpoint] = p.Traffic()
		}
	}
	return traffic
}

// Stop accepts no more clients and resets those that wait. New clients wait in the queues of the sockets,
// until Close.
func (s *Listeners) Stop() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.stop()
	s.balancers.Stop()
	for _, p := range s.all() {
		p.stopAccepting()
	}
	for _, socket := range s.sharedSockets() {
		accepting.Stop(socket.Listener) // itself, which has a deadline
	}
	s.accepting.Wait()
}

// onStop calls f at Stop, unless the function that it returns was called before.
func (s *Listeners) onStop(f func()) (forget func()) {
	forgetting := context.AfterFunc(s.stopping, f)
	return func() { forgetting() }
}

func (s *Listeners) sharedSockets() []*sharedSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.shared)
}

// Close closes the sockets, after Stop. Until then flows go on.
func (s *Listeners) Close() {
	for _, socket := range s.sharedSockets() {
		socket.Close()
	}
	for _, p := range s.all() {
		p.endLimits()
		p.closeSockets()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resetVisitorsLocked()
}

// Wait returns when the last client has left.
func (s *Listeners) Wait() {
	s.serving.Wait()
	s.receiving.Wait()
}

func (s *Listeners) all() []*Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Values(s.at))
	for _, services := range s.private {
		all = slices.AppendSeq(all, maps.Values(services))
	}
	return all
}
