package handshakes

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/quicproxy/internal/limit"
)

// What strangers may cost. The figures in bytes are for quic-go v0.65 (docs/decisions/0045); the garbage
// collector's heap doubles them.
const (
	// Memory is what all of them together may cost.
	Memory = 32 << 20
	// connectionCost is what a connection costs at its costliest moment, heap and stacks: the server has
	// answered its handshake and waits for the rest.
	connectionCost = 72 << 10
	// honestlyKept is how much QUIC keeps of what a node sends at once. It is charged from the beginning, so
	// that whoever has a place can finish.
	honestlyKept  = 16 << 10
	handshakeCost = connectionCost + honestlyKept
	// maxKept is how much QUIC may keep of what one connection sends. A datagram of the least size always
	// fits, whatever is in it.
	maxKept = 48 << 10

	// A handshake needs two datagrams until the server can answer it, two more after a Retry, and some get
	// lost. It may have one more every datagramEvery, and answeredDatagrams more once it was answered.
	firstDatagrams    = 4
	datagramEvery     = 500 * time.Millisecond
	answeredDatagrams = 16

	// A handshake lasts no longer than handshakeTime.
	handshakeTime = 10 * time.Second
	// busyAfter is the age from which a handshake makes room for others.
	busyAfter = 500 * time.Millisecond

	// One address may be a whole village behind one NAT that comes back after a server restart.
	addressEvery = time.Second / 128
	addressBurst = 1024
	maxNetworks  = 1 << 14

	// maxFlows is the limit on flows without a handshake, which cost little, maxFlowsOf that for one address.
	maxFlows   = 4096
	maxFlowsOf = 4
	maxKnown   = 1 << 14
	// maxIDs is the limit on ids of a flow: the first one, one for each Retry, and the connection's.
	maxIDs = 8
)

// Account is charged for all connections that have not been admitted. It sees what only beginning connections
// send and receive, and charges it before QUIC gets it.
type Account struct {
	rates   *limit.Rates[netip.Prefix]
	flowing atomic.Int64 // how many flows there are

	mu    sync.Mutex
	spent networkShares // bytes
	known lately
	flows map[netip.AddrPort][]*flow
	ids   map[string]*flow // connection ids that lead to a flow's connection
	order []*flow          // oldest first
}

// New makes the account of one server, of memory bytes.
func New(memory int64) *Account {
	return &Account{
		rates: limit.NewRates[netip.Prefix](addressEvery, addressBurst, maxNetworks),
		spent: newNetworkShares(memory), known: newLately(maxKnown),
		flows: make(map[netip.AddrPort][]*flow), ids: make(map[string]*flow),
	}
}

// Know says that a node was at an address: a part of all places is reserved for such addresses.
func (a *Account) Know(address netip.Addr, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known.add(address, now)
}

// Crowded reports whether half of what strangers may cost is spent.
func (a *Account) Crowded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent.total > a.spent.most/2
}

// IDs returns the connection ids that lead to the connection of a client that has begun one; nil: none has.
func (a *Account) IDs(from netip.AddrPort, client []byte) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flowLocked(from, client); f != nil {
		return slices.Clone(f.ids)
	}
	return nil
}

// Arrived reports whether QUIC may get a datagram with a long header. An id belongs to the flow that used it
// first, so that nobody can feed a handshake from elsewhere. An unused one may be another id of a running
// handshake, which only its two sides know.
func (a *Account) Arrived(from netip.AddrPort, d Datagram, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	owner, f := a.ids[string(d.To)], a.flowLocked(from, d.Client)
	if f == nil {
		if !d.Begins || owner != nil {
			return false
		}
		f = a.newFlowLocked(from, string(d.Client), now)
		a.nameLocked(f, string(d.To))
	} else if owner != f && (owner != nil || f.handshake == nil) {
		return false
	}
	if f.handshake == nil && now.Sub(f.since) >= datagramEvery {
		f.since, f.datagrams, f.kept = now, 0, 0 // QUIC has dropped what came before, or sent a Retry
	}
	most := firstDatagrams + int(now.Sub(f.since)/datagramEvery)
	if f.handshake != nil && f.handshake.end != nil {
		most += answeredDatagrams
	}
	if f.datagrams >= most || !a.keepLocked(a.payerLocked(f), d.cost(), now) {
		return false
	}
	f.datagrams++
	return true
}

// ArrivedShort reports whether QUIC may get a datagram with a short header: a stranger's is charged, too, any
// other passes. Strangers get ids that are not reported here, so if the id says nothing the address does.
func (a *Account) ArrivedShort(from netip.AddrPort, to []byte, size int, now time.Time) bool {
	if a.flowing.Load() == 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.ids[string(to)]
	if f == nil {
		f = a.beganLocked(from)
	}
	if f == nil || f.handshake == nil {
		return true
	}
	return a.keepLocked(f, Datagram{Short: size}.cost(), now)
}

// Sent notes a packet with a long header from the server: from then on the client uses the server's id in it.
func (a *Account) Sent(to netip.AddrPort, client, server []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flowLocked(to, client); f != nil && a.ids[string(server)] == nil && len(f.ids) < maxIDs {
		a.nameLocked(f, string(server))
	}
}
