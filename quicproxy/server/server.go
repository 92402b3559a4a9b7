package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/machine"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/probes"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/strangers"
)

// maxAddresses is how many addresses the limit of writes remembers.
const maxAddresses = 1 << 14

// DefaultPark is that of Config.
const DefaultPark = 10 * time.Second

// Config says what a Server is made of. The zero value of a field is its default unless noted.
type Config struct {
	// Key is the server's identity; required.
	Key certs.PrivateKey
	// Next is the identity that the server will have later. It is announced to nodes, which then accept both; nobody:
	// none.
	Next certs.NodeID
	// Former is the identity that the server had before: who knows only that one is still answered, and so learns that
	// the server has another; nobody: none.
	Former certs.NodeID
	// PacketConn is the UDP socket that nodes connect to; required. Run closes it.
	PacketConn net.PacketConn

	// Ports are the public ports to lease, 20000-22000 by default.
	Ports lease.PortRange
	// Store keeps the leases; in memory by default. The caller closes it after Run.
	Store lease.Store
	// LeaseTime is how long a port stays its node's after the node went away, 180 minutes by default. With Admit it
	// stays the node's after that, too, as long as the node may use the server and others find free ports.
	LeaseTime time.Duration
	// MaxServices is the number of services per node, 16 by default.
	MaxServices int
	// MaxLeasesPerAddress is how many leases the nodes of one address, or one /48, may have together that the Admitter
	// does not know; no limit by default.
	MaxLeasesPerAddress int
	// PublicHost is the host in the public addresses that nodes are told; empty: FindPublicHost is asked for each, since a
	// machine may get its address after its programs were started.
	PublicHost     string
	FindPublicHost func() string
	// ListenPublic opens the public listener of a port; all addresses of the machine by default.
	ListenPublic func(port uint16) (net.Listener, error)
	// LeaseEnded is told of a port whose public listener was closed since nobody leases it any more; nil: nobody is. It must
	// return soon.
	LeaseEnded func(port uint16)

	// Admit decides who may have a lease; nil admits every node.
	Admit admission.Admitter
	// ResetKey and TokenKey must survive a restart for nodes to notice it at once (RFC 9000 section
	// 10.3); random by default.
	ResetKey, TokenKey [32]byte
	// Peers has nodes notice a restart at once that have nothing to say; nil: with their next keepalive.
	Peers Peers
	// NetID separates networks; both sides must have the same.
	NetID uint32
	// AnswerStrangers has the server answer also who does not know its id.
	AnswerStrangers bool

	// IdleTimeout ends a connection on which nothing arrived for so long.
	IdleTimeout time.Duration
	// ResumeTime is how long relays outlive the last connection of their node's process, for the next one to carry
	// them on; negative: not at all.
	ResumeTime time.Duration
	// Drain is how long running relays may go on after Run's context was cancelled; negative: not at all.
	Drain time.Duration
	// StopNow ends when running relays may not go on any longer; nil: never before Drain is over.
	StopNow context.Context
	// Park is how long a public connection waits for a node that is away; negative: not at all.
	Park time.Duration

	// Memory is how many bytes may be held for nodes and clients that do not receive or read, an eighth of the machine's
	// by default.
	Memory int64
	// MemoryWeight is how large the share of a node is, beside others, while memory is short; 1 for each by default.
	MemoryWeight func(node certs.NodeID) int
	// MaxClients bounds the public connections to a service at once, 4096 by default, of which a node may have twice
	// as many; and MaxClientsPerAddress those of one client address, 1024 by default; its networks
	// have up to four times as many.
	MaxClients, MaxClientsPerAddress int

	// Ready is called once nodes can connect and the ports of stored leases are open.
	Ready func()
	// Restarting is asked once Run's context has ended: whether another process takes over at once, so that nodes
	// connect anew without a pause. No process does by default.
	Restarting func() bool
	// Version is told to nodes.
	Version string
	// Log gets the log; nothing is logged by default.
	Log *slog.Logger
}

// Server accepts nodes and relays public connections to them.
type Server struct {
	config    Config
	log       *slog.Logger
	since     time.Time
	successor *framing.Successor // that is announced to nodes; nil: none
	instance  uint64             // tells this process from the one before it
	lessor    *lease.Lessor
	strange   *strangers.Strangers
	memory    *carrier.Budget
	probes    *probes.Probes
	clients   *limit.Clients
	accounts  *account.Accounts
	limited   *limit.Log                           // what log writes to
	guests    *limit.Shares[netip.Addr, lease.Key] // leases of nodes that nobody knows
	writes    *limit.NetworkRates                  // to the store, caused by nodes that nobody knows

	public *public.Listeners

	work sync.WaitGroup // of everything that outlives the accept loop, but public clients

	registry registry

	mu       sync.Mutex
	counters Counters
}

// New validates config and makes a server of it.
func New(config Config) (*Server, error) {
	if config.Key.IsZero() {
		return nil, errors.New("server: a key is required")
	}
	if config.PacketConn == nil {
		return nil, errors.New("server: a packet connection is required")
	}
	config.setDefaults()
	limited := limit.NewLog(config.Log.Handler()) // most of what is logged can be caused by somebody else
	config.Log = slog.New(limited)
	s := &Server{
		config:   config,
		log:      config.Log,
		instance: carrier.NewInstance(),
		since:    time.Now(),
		strange:  strangers.New(),
		memory:   carrier.NewBudget(cmp.Or(config.Memory, machine.MemoryBudget()), config.Log),
		clients:  limit.NewClients(machine.Sockets(), cmp.Or(config.MaxClients, defaultMaxClients), cmp.Or(config.MaxClientsPerAddress, defaultMaxClientsPerAddress)),
		limited:  limited,
		probes:   probes.New(),
		registry: registry{resumeTime: config.ResumeTime, sessions: make(map[certs.NodeID]*session)},
	}
	s.accounts = account.New(config.MaxServices, func(node certs.NodeID) *limit.Account { return s.memory.Account(config.MemoryWeight(node)) })
	s.public = public.New(public.Config{
		Listen: config.ListenPublic, Ended: config.LeaseEnded, Park: config.Park, Clients: s.clients, Log: config.Log,
	})
	s.writes = limit.NewGuestRequests(config.MaxLeasesPerAddress, maxAddresses)
	s.guests = limit.NewShares[netip.Addr](config.MaxLeasesPerAddress, func(key lease.Key) bool { return s.lessor.Has(key) })
	var err error
	if s.successor, err = successor(config); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.lessor, err = lease.NewLessor(lease.Config{
		Store: config.Store, Ports: config.Ports, HoldTime: config.LeaseTime,
		MaxPerNode: config.MaxServices, Binder: s.public, Keep: s.keeps, Observe: s.auditLease, Log: slog.New(naming{config.Log.Handler(), s.nameOf}),
	})
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return s, nil
}

func (config *Config) setDefaults() {
	if config.Ports.IsZero() {
		config.Ports, _ = lease.ParsePortRange("20000-22000")
	}
	config.IdleTimeout = cmp.Or(config.IdleTimeout, quicproxy.DefaultIdleTimeout)
	config.Drain = cmp.Or(config.Drain, quicproxy.DefaultDrain)
	config.Park = cmp.Or(config.Park, DefaultPark)
	config.ResumeTime = cmp.Or(config.ResumeTime, quicproxy.DefaultResumeTime)
	if config.StopNow == nil {
		config.StopNow = context.Background()
	}
	if config.Store == nil {
		config.Store = lease.NewMemoryStore()
	}
	if config.Ready == nil {
		config.Ready = func() {}
	}
	if config.LeaseEnded == nil {
		config.LeaseEnded = func(uint16) {}
	}
	if config.Restarting == nil {
		config.Restarting = func() bool { return false }
	}
	if config.MemoryWeight == nil {
		config.MemoryWeight = func(certs.NodeID) int { return 1 }
	}
	if config.ListenPublic == nil {
		config.ListenPublic = listenEverywhere
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
}

func listenEverywhere(port uint16) (net.Listener, error) {
	return net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
}

// MemoryPeak is how many bytes the server held at most, since the last call, for nodes and clients; Config.Memory is the limit.
func (s *Server) MemoryPeak() int64 { return s.memory.Peak() }

// knownBy are the ids that a node has to know to be answered; none: it has to know nothing.
func (c *Config) knownBy() []certs.NodeID {
	if c.AnswerStrangers {
		return nil
	}
	if c.Former.IsZero() {
		return []certs.NodeID{c.Key.ID()}
	}
	return []certs.NodeID{c.Key.ID(), c.Former} // who missed a change of the key is told of it by the handshake
}
