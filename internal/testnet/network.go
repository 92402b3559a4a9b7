// Package testnet is a simulated network for tests: hosts, NATs, UDP with latency and loss, and TCP in
// memory.
//
// It is made for testing/synctest: everything waits on channels, condition variables and timers alone, so
// that hours of virtual time pass in milliseconds. A network is created inside the bubble that uses it. UDP
// is based on quic-go's simnet; TCP behaves as in Linux, which a test verifies (conformance_test.go).
//
// It does not simulate names (addresses are literal), bandwidth, full UDP receive buffers, or TCP latency and
// loss: an established connection lives on whatever happens to the hosts' network.
//
// Only tests may import it.
package testnet

import (
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Network is the public network. Its methods, and those of hosts and NATs, may be called concurrently; the
// ones that take an address as text end the test if it is malformed or in use.
type Network struct {
	t testing.TB

	latency atomic.Int64 // time.Duration, one way

	mu      sync.Mutex // guards the following, and the mutable fields of all hosts and NATs
	hosts   realm
	nats    map[netip.Addr]*NAT
	loss    float64
	seed    uint64
	sockets uint64                 // UDP sockets ever opened
	open    map[io.Closer]struct{} // what Cleanup closes
}

// realm is a set of hosts that reach one another directly.
type realm map[netip.Addr]*Host

// New returns a network without hosts. The end of the test closes whatever is still open in it.
func New(t testing.TB) *Network {
	n := &Network{t: t, hosts: realm{}, nats: map[netip.Addr]*NAT{}, open: map[io.Closer]struct{}{}}
	t.Cleanup(n.close)
	return n
}

func (n *Network) close() {
	n.mu.Lock()
	open := slices.Collect(maps.Keys(n.open))
	n.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

// Open is how many sockets, listeners and connections nobody has closed.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

// SetLatency delays every UDP packet sent from now on by oneWay. The default is none.
func (n *Network) SetLatency(oneWay time.Duration) { n.latency.Store(int64(oneWay)) }

// SetLoss loses every UDP packet with probability p. Which packets of a socket are lost depends on seed, on
// the order in which the sockets were opened and on the packet's number in its socket, not on scheduling.
func (n *Network) SetLoss(p float64, seed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss, n.seed = p, seed
}

// Host adds a host with a public address.
func (n *Network) Host(ip string) *Host {
	n.t.Helper()
	return n.addHost(n.hosts, nil, ip)
}

func (n *Network) addHost(r realm, nat *NAT, ip string) *Host {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &Host{
		network: n, realm: r, nat: nat, ip: n.newIPLocked(r, ip),
		sockets: map[uint16]*socket{}, listeners: map[netip.AddrPort]*listener{},
	}
	r[h.ip] = h
	return h
}

func (n *Network) newIPLocked(r realm, ip string) netip.Addr {
	n.t.Helper()
	a, err := netip.ParseAddr(ip)
	if err != nil {
		n.t.Fatalf("testnet: %v", err)
	}
	a = a.Unmap()
	if r[a] != nil || n.nats[a] != nil {
		n.t.Fatalf("testnet: address %s is in use", ip)
	}
	return a
}

// Host is a machine with one network interface, and loopback for TCP.
type Host struct {
	network *Network
	realm   realm
	nat     *NAT // nil on the public network

	// Guarded by network.mu.
	ip        netip.Addr
	cut       bool
	ports     ephemeralPorts
	sockets   map[uint16]*socket
	listeners map[netip.AddrPort]*listener
}

// Cut silently loses every UDP packet from, to and in flight to the host, and every attempt to connect.
func (h *Host) Cut() { h.setCut(true) }

// Restore ends Cut.
func (h *Host) Restore() { h.setCut(false) }

func (h *Host) setCut(cut bool) {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	h.cut = cut
}

// SetIP changes the host's address, as moving to another network does. All its UDP sockets are bound to the
// wildcard: they stay open, send from the new address, and lose what is sent to the old one.
func (h *Host) SetIP(ip string) {
	n := h.network
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.newIPLocked(h.realm, ip)
	delete(h.realm, h.ip)
	h.ip = a
	h.realm[a] = h
}

// findLocked returns the host that h reaches at an address, nil if there is none, and the NAT on the way out.
func (h *Host) findLocked(ip netip.Addr) (*Host, *NAT) {
	if neighbour := h.realm[ip]; neighbour != nil {
		return neighbour, nil
	}
	return h.network.hosts[ip], h.nat
}

// ephemeralPorts allocates ports in ascending order, so that a freed one is not reused soon. It holds the
// last one.
type ephemeralPorts uint16

// next returns an unused port, or syscall.EADDRINUSE if there is none.
func (p *ephemeralPorts) next(used func(port uint16) bool) (uint16, error) {
	const first = 32768 // as Linux does
	for range 1<<16 - first {
		*p = max(*p+1, first)
		if !used(uint16(*p)) {
			return uint16(*p), nil
		}
	}
	return 0, syscall.EADDRINUSE
}
