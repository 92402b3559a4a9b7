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
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/access"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/loglimit"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/account"
	"apquic/quicproxy/server/internal/address"
	"apquic/quicproxy/server/internal/canary"
	"apquic/quicproxy/server/internal/groups"
	"apquic/quicproxy/server/internal/identity"
	"apquic/quicproxy/server/internal/naming"
	"apquic/quicproxy/server/internal/private"
	"apquic/quicproxy/server/internal/probes"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/ruled"
	"apquic/quicproxy/server/internal/strangers"
	"apquic/quicproxy/server/internal/tally"
	"apquic/quicproxy/server/internal/termination"
	"apquic/rules"
)

const (
	defaultPark = 10 * time.Second
	// maxAddresses is how many addresses the write limit remembers.
	maxAddresses = 1 << 14
)

// Config says what a Server consists of. The zero value of a field is its default unless noted.
type Config struct {
	// Key is the server's identity; required.
	Key certs.PrivateKey
	// Next is the identity that the server will have later. It is announced to nodes, which then accept both;
	// zero: none.
	Next certs.NodeID
	// Former is the identity that the server had before: nodes that know only that one are still answered,
	// and so learn that the server has another; zero: none.
	Former certs.NodeID
	// PacketConn is the UDP socket that nodes connect to; required. Run closes it.
	PacketConn net.PacketConn

	// Ports are the public ports to lease, 20000-22000 by default.
	Ports lease.PortRange
	// Store keeps the leases; in memory by default. The caller closes it after Run.
	Store lease.Store
	// LeaseTime is how long a port stays reserved for a node that is away, 180 minutes by default. With Admit
	// it stays longer, as long as the node may use the server and others find free ports.
	LeaseTime time.Duration
	// MaxServices is the number of services per node, 16 by default.
	MaxServices int
	// MaxLeasesPerAddress is how many leases all nodes of one address, or one /48, that the Admitter does not
	// know may have together; no limit by default.
	MaxLeasesPerAddress int
	// PublicHost is the host in the public addresses that nodes are told. Empty: FindPublicHost is called for
	// each address, since a machine may get its address after its programs start.
	PublicHost     string
	FindPublicHost func() string
	// ListenPublic opens the public listener of a port; all addresses of the machine by default.
	ListenPublic func(port uint16) (net.Listener, error)
	// ListenPublicPacket opens the public UDP socket of a port; all addresses of the machine by default.
	ListenPublicPacket func(port uint16) (net.PacketConn, error)
	// HTTP and HTTPS are the sockets to which the clients of domains come, without TLS and with it. Run closes
	// them; without any of them no domains are leased.
	HTTP, HTTPS net.Listener
	// CheckDomain returns why nobody may have a domain; nil: everybody may have any.
	CheckDomain func(domain string) error
	// Domain is one of the server's own, below which services with a port that speak TLS or HTTP have names; empty: none.
	Domain string
	// Terminator ends TLS for services that ask for it; nil: nobody does here.
	Terminator termination.Terminator
	// Balancers are the networks of load balancers, which must say whom they connect for.
	Balancers []netip.Prefix
	// Groups are services that several nodes may offer at one address: the ids of those nodes, or the names that the
	// Admitter gives them, by the group's name.
	Groups map[string][]string
	// Rules say what single nodes may have, where that differs from what the other fields say.
	Rules rules.Rules
	// Ledger is told at each Settle what has passed; nil: nobody is.
	Ledger usage.Ledger
	// Visitors are who may visit any service. Country is the country of an address (ISO 3166-1 alpha-2); nil: not known.
	Visitors quicproxy.Visitors
	Country  func(netip.Addr) string
	// LeaseEnded is called with a port whose public listener was closed because its lease ended; nil: not
	// called. It must return soon.
	LeaseEnded func(port uint16)

	// Admit decides who may have a lease; nil admits every node.
	Admit admission.Admitter
	// ResetKey and TokenKey must survive a restart for nodes to notice it at once (RFC 9000 section
	// 10.3); random by default.
	ResetKey, TokenKey [32]byte
	// Peers lets even idle nodes notice a restart at once; nil: with their next keepalive.
	Peers Peers
	// NetID separates networks; both sides must have the same.
	NetID uint32
	// AnswerStrangers makes the server answer clients that do not know its id, too.
	AnswerStrangers bool

	// IdleTimeout ends a connection on which nothing arrived for that long.
	IdleTimeout time.Duration
	// ResumeTime is how long relays outlive the last connection of their node's process, to resume over its
	// next one; negative: not at all.
	ResumeTime time.Duration
	// Drain is how long running relays may go on after Run's context was cancelled; negative: not at all.
	Drain time.Duration
	// StopNow ends when running relays must stop; nil: only when Drain is over.
	StopNow context.Context
	// Park is how long a public connection waits for a node that is away, 10 s by default; negative: not at
	// all.
	Park time.Duration

	// FlowIdle is how long a flow of UDP datagrams over which nothing passes is kept, 60 s by default.
	FlowIdle time.Duration

	// Memory is the memory budget, in bytes, for nodes and clients that stop reading, an eighth of the
	// machine's memory by default.
	Memory int64
	// MemoryWeight is the share of a node, relative to others, while memory is short; 1 for each by default.
	MemoryWeight func(node certs.NodeID) int
	// MaxClients bounds the simultaneous public connections of a service, 4096 by default; a node may have
	// twice as many. MaxClientsPerAddress bounds those of one client address, 1024 by default; its
	// networks may have up to four times as many.
	MaxClients, MaxClientsPerAddress int

	// Ready is called once nodes can connect and the ports of stored leases are open.
	Ready func()
	// Restarting is called after Run's context has ended, and reports whether another process takes over at
	// once, so that nodes reconnect without a pause. Nil: none does.
	Restarting func() bool
	// Version is sent to nodes.
	Version string
	Access  *access.Outlet // is told of each public connection that has ended; nil: nobody is
	// Log receives the log; nothing is logged by default.
	Log *slog.Logger
}

// Server accepts nodes and relays public connections to them.
type Server struct {
	config    Config
	log       *slog.Logger
	since     time.Time
	successor *framing.Successor // announced to nodes; nil: none
	instance  uint64             // tells this process from the one before it
	lessor    *lease.Lessor
	strange   *strangers.Strangers
	memory    *carrier.Budget
	probes    *probes.Probes
	clients   *clients.Places
	accounts  *account.Accounts
	limited   *loglimit.Handler                      // the handler of log
	guests    *account.Shares[netip.Addr, lease.Key] // leases of unknown nodes
	writes    *limit.NetworkRates                    // to the store, caused by unknown nodes

	public    *public.Listeners
	addresses address.Public
	groups    *groups.Groups
	rules     *ruled.Rules
	exchange  *private.Exchange
	canaries  *canary.Canaries

	datagrams flow.Counters

	work sync.WaitGroup // everything that outlives the accept loop, except public clients

	registry registry
	tally    *tally.Tally
}

// New validates config and makes a server from it.
func New(config Config) (*Server, error) {
	if config.Key.IsZero() {
		return nil, errors.New("server: a key is required")
	}
	if config.PacketConn == nil {
		return nil, errors.New("server: a packet connection is required")
	}
	if err := visitors.Check(config.Visitors); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	config.setDefaults()
	limited := loglimit.New(config.Log.Handler()) // others can cause most log lines
	config.Log = slog.New(limited)
	s := &Server{
		config:   config,
		log:      config.Log,
		instance: carrier.NewInstance(),
		since:    time.Now(),
		strange:  strangers.New(),
		memory:   carrier.NewBudget(cmp.Or(config.Memory, machine.MemoryBudget()), config.Log),
		clients:  clients.New(machine.Sockets(), cmp.Or(config.MaxClients, defaultMaxClients), cmp.Or(config.MaxClientsPerAddress, defaultMaxClientsPerAddress)),
		limited:  limited,
		probes:   probes.New(),
		registry: registry{resumeTime: config.ResumeTime, sessions: make(map[sessionKey]*session)},
	}
	s.accounts = account.New(config.MaxServices, func(node certs.NodeID) *memory.Account { return s.memory.Account(config.MemoryWeight(node)) })
	s.public = public.New(public.Config{
		Listen: config.ListenPublic, Ended: config.LeaseEnded, Park: config.Park, Clients: s.clients, Balancers: config.Balancers, Visitors: config.Visitors, Country: config.Country, Memory: s.memory.From, Domain: config.Domain, Terminator: config.Terminator, Ledger: config.Ledger, Log: config.Log,
		IsOut:        func(node certs.NodeID) bool { return s.rules.IsOut(node) }, // made below
		ListenPacket: config.ListenPublicPacket, Flows: flowlimit.OfServer(s.memory.Size()), FlowIdle: config.FlowIdle, Datagrams: &s.datagrams,
	})
	s.tally = &tally.Tally{Memory: s.memory, Public: s.public, Datagrams: &s.datagrams}
	s.exchange = &private.Exchange{Services: s.public, Admit: config.Admit, Memory: s.memory}
	s.writes = account.NewGuestRequests(config.MaxLeasesPerAddress, maxAddresses)
	s.guests = account.NewShares[netip.Addr](config.MaxLeasesPerAddress, func(key lease.Key) bool { return s.lessor.Has(key) })
	s.addresses = address.Public{Host: config.PublicHost, Find: config.FindPublicHost, HTTP: config.HTTP, HTTPS: config.HTTPS}
	named := slog.New(naming.Handler{Handler: config.Log.Handler(), NameOf: s.nameOf})
	s.canaries = canary.New(named)
	var failed [4]error
	s.groups, failed[0] = groups.New(config.Groups)
	s.rules, failed[1] = ruled.New(config.Rules, config.Ledger)
	s.successor, failed[2] = identity.Successor(config.Key, config.Next)
	s.lessor, failed[3] = lease.NewLessor(lease.Config{
		Store: config.Store, Ports: config.Ports, HoldTime: config.LeaseTime,
		MaxPerNode: config.MaxServices, Domains: config.HTTP != nil || config.HTTPS != nil, CheckDomain: config.CheckDomain, Binder: s.public,
		Keep: s.keeps, HoldTimeOf: s.holdTimeOf, Observe: s.auditLease, Log: named,
	})
	if err := cmp.Or(failed[:]...); err != nil {
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
	config.Park = cmp.Or(config.Park, defaultPark)
	config.ResumeTime = cmp.Or(config.ResumeTime, quicproxy.DefaultResumeTime)
	config.StopNow = cmp.Or(config.StopNow, context.Background())
	config.Store = cmp.Or[lease.Store](config.Store, lease.NewMemoryStore())
	config.Admit = cmp.Or[admission.Admitter](config.Admit, admission.Everyone{})
	if config.Ready == nil {
		config.Ready = func() {}
	}
	if config.Restarting == nil {
		config.Restarting = func() bool { return false }
	}
	if config.MemoryWeight == nil {
		config.MemoryWeight = func(certs.NodeID) int { return 1 }
	}
	config.FlowIdle = cmp.Or(config.FlowIdle, quicproxy.DefaultFlowIdle)
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
}

// MemoryPeak returns the most bytes that the server held for nodes and clients since the last call;
// Config.Memory is the limit.
func (s *Server) MemoryPeak() int64 { return s.memory.Peak() }
