package quicproxy

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"apquic/framing"
)

// AutoKeepalive as NodeConfig.Keepalive has the node find out how long the NAT of the network that it is in
// keeps an idle mapping, and send a Keepalive just before. Until that is proven it is DefaultKeepalive.
const AutoKeepalive time.Duration = -1

const (
	// A keepalive must be sent, and be answered after some tries, before the idle timeout: two fifths of it
	// leave room for that, and for QUIC's own after half of it.
	idleShare, idleShares = 2, 5
	// minIdleTimeout is the shortest idle timeout that a server can have.
	minIdleTimeout = 5 * time.Second
	// calm is how long a connection and its path last before anything is tried.
	calm = time.Minute
	// provenFor is how long a network is taken for what it was found to be.
	provenFor = 7 * 24 * time.Hour
	// After a mapping was lost that should have been kept, the search waits, each time for twice as long.
	firstLossPause, maxLossPause = 10 * time.Minute, 24 * time.Hour
	// A server that hears from a new address sends a datagram of at least so many bytes there (RFC 9000
	// section 8.2.1). In an exchange of keepalives nothing else is so large.
	challengeSize = 1200
)

// pace says how often a link sends Keepalives.
type pace struct {
	fixed    time.Duration // AutoKeepalive: it is learned
	networks *networks
	log      *slog.Logger
	stirred  chan struct{} // has room for one: what next returns changed

	mu       sync.Mutex
	least    time.Duration  // the interval while nothing is proven
	most     time.Duration  // the idle timeouts allow no longer one; 0: not known, and nothing is learned
	network  string         // empty: not known
	observed netip.AddrPort // by the server
	swaps    uint64         // how many sockets the link had left behind by then
	settled  bool           // the server told observed while nothing changed
	look     bool           // the next Keepalive tells whether observed changed, and must not be late
	since    time.Time      // when settled or look changed
	steady   context.Context
	unsteady context.CancelFunc // ends steady: what is tried now shows nothing
}

func newPace(n *Node) *pace {
	p := &pace{fixed: n.config.Keepalive, networks: &n.networks, log: n.log, stirred: make(chan struct{}, 1)}
	p.least = min(DefaultKeepalive, n.config.IdleTimeout*idleShare/idleShares)
	p.steady, p.unsteady = context.WithCancel(context.Background())
	return p
}

func (p *pace) auto() bool { return p.fixed < 0 }

// begin is told what the server says of the connection, which comes from the address source of this machine,
// whose idle timeout is own.
func (p *pace) begin(welcome *framing.Welcome, source netip.Addr, own time.Duration) {
	if !p.auto() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Now()
	// What no server is configured to have would have this node send keepalives without end.
	peer := time.Duration(min(welcome.IdleTimeoutMilliseconds, uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
	if peer < minIdleTimeout {
		return // which of the two idle timeouts counts is not known
	}
	p.most = min(own, peer) * idleShare / idleShares
	p.least = min(p.least, p.most)
	p.most = min(p.most, maxKeepalive)
	p.observed, p.network = whereabouts(welcome.ObservedAddress, source)
	p.settled = p.network != ""
}

// whereabouts names the network that a machine is in by its addresses, outside and inside.
func whereabouts(observed string, source netip.Addr) (netip.AddrPort, string) {
	address, err := netip.ParseAddrPort(observed)
	if err != nil {
		return address, ""
	}
	return address, siteOf(address).String() + " " + source.String()
}

// interval is the time to the next Keepalive.
func (p *pace) interval() time.Duration {
	if !p.auto() {
		return p.fixed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.intervalLocked()
}

func (p *pace) intervalLocked() time.Duration {
	if !p.settled || p.look {
		return p.least
	}
	return p.learnedLocked()
}

// learnedLocked is the interval for the network that the node is in.
func (p *pace) learnedLocked() time.Duration {
	network := p.networks.get(p.network)
	if network.Found.IsZero() {
		return p.least
	}
	return max(p.least, min(network.Proven-margin(network.Proven), p.most))
}

// question is what to ask the server.
func (p *pace) question() *framing.Keepalive { return &framing.Keepalive{Observe: p.auto()} }

// observe takes what the server says in an answer about where the node is; the link has left so many sockets
// behind, and received is what came since the question, in bytes.
func (p *pace) observe(answer *framing.KeepaliveResponse, source netip.Addr, swaps, received uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address, network := whereabouts(answer.ObservedAddress, source)
	same := swaps == p.swaps && network == p.network
	if same && p.settled && address != p.observed && p.learnedLocked() > p.least {
		p.lostLocked()
	}
	settled := same && address == p.observed && network != ""
	// The answer may have been on its way already when the server began to find out that the node is elsewhere.
	look := received >= challengeSize && !p.look
	p.observed, p.network, p.swaps = address, network, swaps
	p.changeLocked(settled, look)
}

// missed is told that packets came, but the answer to the Keepalive not in time.
func (p *pace) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changeLocked(p.settled, true)
}

// unanswered is told that a Keepalive got no answer: there may be no mapping any more.
func (p *pace) unanswered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.learnedLocked() > p.least {
		p.networks.distrust(p.network)
	}
	p.changeLocked(false, false)
}

// lostLocked notes that the mapping was lost: what was proven is not so.
func (p *pace) lostLocked() {
	network := p.networks.get(p.network)
	p.log.Info("this network lost the mapping of the connection; keepalives are more frequent again",
		"network", p.network, "proven", network.Proven, "losses", network.Losses+1)
	p.networks.put(Network{Name: p.network, Losses: network.Losses + 1, Found: time.Now()})
}

func (p *pace) changeLocked(settled, look bool) {
	if p.settled == settled && p.look == look {
		return
	}
	p.settled, p.look, p.since = settled, look, time.Now()
	if !settled {
		p.unsteady()
		p.steady, p.unsteady = context.WithCancel(context.Background())
	}
	signal(p.stirred)
}
