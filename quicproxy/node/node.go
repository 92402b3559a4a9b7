package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/machine"
	"apquic/internal/netmon"
	"apquic/quicproxy"
	"apquic/quicproxy/access"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/loglimit"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/canary"
	"apquic/quicproxy/node/internal/costs"
	"apquic/quicproxy/node/internal/flows"
	"apquic/quicproxy/node/internal/health"
	"apquic/quicproxy/node/internal/naming"
	"apquic/quicproxy/node/internal/private"
	"apquic/quicproxy/node/internal/upstream"
)

// minNodeMemory is the least memory budget of a node by default.
const minNodeMemory = 64 << 20

// Config says what a Node consists of. The zero value of a field is its default unless noted.
type Config struct {
	// Key is the node's identity; required. The leases belong to it.
	Key certs.PrivateKey
	// Server is the identity that the server must prove; required. Next is one that it has announced, and may
	// prove instead; zero: none.
	Server, Next certs.NodeID
	// Address is where the server is, host:port over UDP; required. The host is resolved at every dial.
	Address string
	// JoinSecret admits a node that the server does not know yet. It is sent only to a server that has asked
	// for it and has proved to be Server, not Next, and never again once the node has been admitted.
	JoinSecret []byte
	// Known says that the server has admitted the node before. Then JoinSecret is not sent.
	Known bool
	// Services are exposed from the start; Listen adds more.
	Services []Service
	// Connects says that this process only connects to private services of other nodes. It replaces no other
	// process with its key, and has no services.
	Connects bool
	// Name is what the node would like the server to call it; may be empty.
	Name string
	// KnownNode is asked whether a name that the server says means the node that it always meant; by default that is
	// remembered while the program runs.
	KnownNode func(name string, id certs.NodeID) error

	// Network is "udp", "udp4" or "udp6"; "udp" by default.
	Network string
	// NetID separates networks; both sides must have the same.
	NetID uint32
	// Keepalive is the time between two Keepalive messages, 15 s by default. If it is negative, the node
	// learns how long the NAT of its present network keeps an idle mapping, and sends one shortly before that.
	Keepalive time.Duration
	// NATBindings remembers what was learned about NATs, across restarts; nil: it is learned again.
	NATBindings NATBindingStore
	// IdleTimeout ends a connection on which nothing arrived for that long.
	IdleTimeout time.Duration
	// ResumeTime is how long relays outlive the last connection to the server, to resume over the next one;
	// negative: not at all.
	ResumeTime time.Duration
	// Drain is how long running relays may go on after Run's context was cancelled; negative: not at all.
	Drain time.Duration
	// StopNow ends when running relays must stop; nil: only when Drain is over.
	StopNow context.Context

	// Memory is the memory budget, in bytes, for services and clients that stop reading, an eighth of the
	// machine's memory by default but at least 64 MiB.
	Memory int64

	// OnWelcome is called when the server has admitted the node on a new connection. It must return soon.
	OnWelcome func(Welcome)
	// OnLease is called when a service gets a public address, and when that changes. It must return soon.
	OnLease func(Lease)

	// Version is sent to the server.
	Version string
	// Log receives the log; nothing is logged by default. Access is told of each visit that has ended; nil: nobody is.
	Log    *slog.Logger
	Access *access.Outlet

	// ListenPacket opens a UDP socket, Resolve resolves the server's name, and DialUpstream connects to a
	// service: the system's by default.
	ListenPacket func() (net.PacketConn, error)
	Resolve      func(ctx context.Context, host string) ([]netip.Addr, error)
	DialUpstream func(ctx context.Context, network, address string) (net.Conn, error)
	// WatchNetwork calls changed whenever the network of this machine may have changed, until ctx ends.
	// Source returns the address from which packets to a remote one are sent. The system's by default.
	WatchNetwork func(ctx context.Context, changed func())
	Source       func(to netip.AddrPort) netip.Addr
}

// Service is something that a node exposes.
type Service struct {
	// Name is unique within the node; 1 to 64 of a-z 0-9 . _ -
	Name string
	// Upstream is where the service listens: host:port, tcp://host:port, udp://host:port, tcp+udp://host:port, unix:/path, http://host or https://host
	// with or without :port; a folder to be served over HTTP, file:/path; or a proxy into Networks, socks5:
	Upstream string
	// PublicPort is the preferred public port, 0 for any.
	PublicPort uint16

	// CA is a PEM file with the authorities for the certificate of an https:// upstream, the system's by default.
	// Pin is the SHA-256 of that certificate, in hexadecimal, instead of any authority.
	CA, Pin string
	// Listing has a folder without index.html show what is in it. Networks are where a socks5: upstream leads.
	Listing  bool
	Networks []netip.Prefix
	// Visitors are who may visit the service, and how much.
	Visitors quicproxy.Visitors
	// ProxyProtocol is the version, 1 or 2, of the PROXY protocol header that tells the upstream its client's
	// address; 0: none.
	ProxyProtocol int

	// Domain is the public name of the service instead of a port, such as *.example.org. Its clients speak TLS
	// with the upstream; with PlainHTTP they may also come without, otherwise the server sends them to https.
	Domain    string
	PlainHTTP bool
	// TLS says who ends the TLS of clients that come for a name, as ProxyRequest.tls does: 1 not the server, 2 the
	// server, and HTTP, 3 the server, which passes the bytes on; 0: not the server, and a service with a port has no
	// name. With NameIfAny it has one only if the server gives names and ends their TLS.
	TLS       uint32
	NameIfAny bool
	// Private gives the service neither port nor domain: only other nodes connect to it, this one and those that
	// AllowNodes names, by ids, or by names that the server says.
	Private    bool
	AllowNodes []string
	// Group is the group, named in the server's settings, that the service is one of: other nodes may offer the same
	// at the same address. Empty: it is this node's alone.
	Group string
	// Health is how the upstream is checked every 10 s: "tcp" connects, a path such as /healthz is asked for over HTTP, of
	// Host unless that is empty. While it fails the service gets no new clients. Empty: it is not checked.
	Health, Host string
	// Canary is how often the server is to ask whether the service answers (docs/protocol.md section 6.7); 0: never.
	Canary time.Duration
	// Accept has this program accept the connections that come for a name, of a service with a port those with TLS
	// (Node.Listener), with AcceptAll the others, too. They cost it AcceptCost bytes each.
	Accept, AcceptAll bool
	AcceptCost        int
	AsksPassword      bool // whoever accepts them asks for one over HTTP Basic
}

// behind is what stands behind the service.
func (s Service) behind() upstream.Settings {
	return upstream.Settings{Address: s.Upstream, CA: s.CA, Pin: s.Pin, Listing: s.Listing, Networks: s.Networks, ProxyProtocol: s.ProxyProtocol}
}

// Lease is the public address of a service.
type Lease struct {
	Service string
	// PublicAddress is where clients connect to: tcp://host:port, with udp or tcp+udp as the service's upstream,
	// or https://name, or private:NODE/SERVICE if only nodes do.
	PublicAddress string
	// Name is where clients come by name, beside a port: https://name; empty: nowhere.
	Name string
	// Origin is the upstream as a URI.
	Origin string
	// Held is how long the server keeps the address for this node while the node is away.
	Held time.Duration
}

// Node exposes services through a server.
type Node struct {
	config   Config
	log      *slog.Logger
	limited  *loglimit.Handler // the handler of log
	instance uint64            // distinguishes this process from others with the same key
	network  wait.Changes
	memory   *carrier.Budget
	costs    costs.Costs

	linked  wait.Changes            // tells of each change of link and trouble
	asked   private.Asked[*exposed] // streams to other nodes, until they come
	reached private.Reached

	lanes   *lanes
	learner *keepalive.Learner // used if Config.Keepalive is negative

	flows     *flows.Table
	datagrams flow.Counters

	relaying sync.WaitGroup // streams of the server, and their relays
	over     chan struct{}  // closed when relays have ended

	setting sync.Mutex // serialises SetServices

	mu          sync.Mutex
	services    []*exposed               // in the order of their addition
	link        *link                    // the connection in use, nil while there is none
	association *association.Association // with the server's present process; nil: relays cannot resume
	standby     bool                     // another process with our key took over
	server      certs.NodeID             // that the server must prove
	next        certs.NodeID             // that it may prove instead; zero: none
	welcome     Welcome                  // the last one
	trouble     error                    // why there is no connection; nil: there is one, or none was tried
	nextTry     time.Time                // of a connection, if there is trouble; it may be earlier
	known       bool                     // the server has admitted this node
	secret      []byte                   // admits this node; nil: there is none, or it is no longer needed

	running         context.Context // of Run; nil: it has not begun
	stopped         bool            // relaying is waited for
	allowedServices int             // how many services the server allows
	excess          int             // how many more the node had when that was logged
	reserved        bool            // flows have their share of the sockets
}

// exposed is a service with its state.
type exposed struct {
	name, origin string
	wantedPort   uint16
	naming       naming.Naming
	group        string
	health       *health.Monitor
	visitors     quicproxy.Visitors
	guard        *private.Guard     // lets nodes in; nil: the service is not private
	cost         int                // of a connection that the listener takes
	all          bool               // it takes every connection
	upstream     *upstream.Upstream // nil: there is only the listener
	listener     *serviceListener   // takes the relays, if not nil
	relays       *atomic.Int64      // to the upstream, running now
	settings     Service            // as it was given; not that of Listen
	unwatch      context.CancelFunc // ends health; nil: that does not run. Guarded by Node.mu

	mu      sync.Mutex
	public  string // the address announced last
	named   string // the one beside it; empty: none
	refusal error  // why there is none
	told    bool   // the program was told the address
}

// New validates config and makes a node from it.
func New(config Config) (*Node, error) {
	if config.Key.IsZero() || config.Server.IsZero() {
		return nil, errors.New("node: a key and the id of the server are required")
	}
	if _, _, err := net.SplitHostPort(config.Address); err != nil {
		return nil, fmt.Errorf("node: the server's address: %w", err)
	}
	config.Network = cmp.Or(config.Network, "udp")
	if !slices.Contains([]string{"udp", "udp4", "udp6"}, config.Network) {
		return nil, fmt.Errorf("node: the network must be udp, udp4 or udp6, not %q", config.Network)
	}
	config.Keepalive = cmp.Or(config.Keepalive, keepalive.Default)
	config.IdleTimeout = cmp.Or(config.IdleTimeout, quicproxy.DefaultIdleTimeout)
	config.Drain = cmp.Or(config.Drain, quicproxy.DefaultDrain)
	config.StopNow = cmp.Or(config.StopNow, context.Background())
	config.ResumeTime = cmp.Or(config.ResumeTime, quicproxy.DefaultResumeTime)
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	if config.OnLease == nil {
		config.OnLease = func(Lease) {}
	}
	if config.KnownNode == nil {
		known := certs.NewKnownNodes("")
		config.KnownNode = func(name string, id certs.NodeID) error { _, err := known.Check(name, id); return err }
	}
	if config.OnWelcome == nil {
		config.OnWelcome = func(Welcome) {}
	}
	limited := loglimit.New(config.Log.Handler()) // others can cause most log lines
	config.Log = slog.New(limited)
	setSystemNetwork(&config)
	n := &Node{
		config: config, log: config.Log, limited: limited, instance: carrier.NewInstance(), server: config.Server, next: config.Next, known: config.Known, secret: config.JoinSecret,
		memory:  carrier.NewBudget(cmp.Or(config.Memory, max(machine.MemoryBudget(), minNodeMemory)), config.Log),
		costs:   costs.New(machine.Sockets()),
		learner: keepalive.NewLearner(config.NATBindings, config.Log),
		over:    make(chan struct{}),
	}
	if n.known {
		n.secret = nil
	}
	n.lanes = newLanes(n)
	n.newFlows(machine.Sockets())
	if err := n.SetServices(config.Services); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return n, nil
}

// newExposed makes a service of the settings, which follows the one with its name that there is now; nil: there is none.
func (n *Node) newExposed(service Service, former *exposed) (*exposed, error) {
	behind, err := upstream.New(service.behind(), n.config.DialUpstream)
	if err == nil && service.Domain != "" && behind.HasUDP() {
		err = errors.New("a domain is reached over TCP only")
	}
	err = cmp.Or(err, framing.CheckServiceName(service.Name), visitors.Check(service.Visitors), canary.Check(service.Canary, service.Upstream))
	if err != nil {
		return nil, err
	}
	e := &exposed{
		name: service.Name, upstream: behind, origin: behind.Origin, wantedPort: service.PublicPort, settings: service,
		visitors: service.Visitors, cost: service.AcceptCost, all: service.AcceptAll || service.Domain != "", group: service.Group, relays: new(atomic.Int64),
		naming: naming.Naming{Domain: service.Domain, PlainHTTP: service.PlainHTTP, TLS: service.TLS, IfAny: service.NameIfAny, AsksPassword: service.AsksPassword},
	}
	e.health, err = health.New(service.Health, behind.Origin, service.Host, behind.Check, func(ctx context.Context) (net.Conn, error) { return n.Dial(ctx, e.name) })
	if err == nil && service.Private {
		err = n.guard(e, service)
	}
	if err != nil {
		return nil, err
	}
	if service.Accept || service.Private {
		e.listener = newServiceListener(n, e.name)
	}
	if former != nil {
		e.follows(former)
	}
	return e, nil
}

func setSystemNetwork(config *Config) {
	network := config.Network
	if config.ListenPacket == nil {
		config.ListenPacket = func() (net.PacketConn, error) { return net.ListenUDP(network, nil) }
	}
	if config.Resolve == nil {
		config.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip"+network[len("udp"):], host)
		}
	}
	if config.DialUpstream == nil {
		config.DialUpstream = new(net.Dialer).DialContext
	}
	if config.WatchNetwork == nil {
		config.WatchNetwork = netmon.Watch
	}
	if config.Source == nil {
		config.Source = netmon.Source
	}
}

// expose adds a service of Listen and has it leased.
func (n *Node) expose(service *exposed) error {
	if err := framing.CheckServiceName(service.name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if find(n.services, service.name) != nil {
		return fmt.Errorf("there are two services with the name %q", service.name)
	}
	n.services = append(n.services, service)
	n.wakeLocked()
	return nil
}

// withdraw removes the service of a listener; its lease is held.
func (n *Node) withdraw(l *serviceListener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.services = slices.DeleteFunc(n.services, func(e *exposed) bool { return e.listener == l })
	n.wakeLocked()
}

// wakeLocked makes the link compare what it registered with the services.
func (n *Node) wakeLocked() {
	if n.link != nil {
		n.link.wakeUp()
	}
}

// service returns the service with that name; nil: there is none.
func (n *Node) service(name string) *exposed {
	n.mu.Lock()
	defer n.mu.Unlock()
	return find(n.services, name)
}

// MemoryPeak returns the most bytes that the node held for its server and clients since the last call;
// Config.Memory is the limit.
func (n *Node) MemoryPeak() int64 { return n.memory.Peak() }
