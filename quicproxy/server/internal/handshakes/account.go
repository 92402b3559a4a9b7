package handshakes

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/netaddr"
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
	// A datagram costs its buffer while it waits for keys, and at worst a frame every few bytes, each of
	// which QUIC keeps: a one-byte CRYPTO frame takes five bytes in a packet and costs 96, a one-byte STREAM
	// frame takes six and costs 220.
	datagramCost      = 1600
	cryptoFrameCost   = 96
	handshakeByteCost = 20
	shortByteCost     = 40

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

// Handshake is a connection that has not been admitted.
type Handshake struct {
	account *Account
	flow    *flow
	end     func() // nil: the server has not answered yet
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

// Datagram is what a stranger sends.
type Datagram struct {
	To, Client   []byte // connection ids: where it goes, and the client's own
	Begins       bool   // it may begin a connection
	CryptoFrames int    // in Initial packets
	Handshake    int    // bytes of Handshake packets
	Short        int    // bytes of packets with a short header
}

func (d Datagram) cost() int64 {
	return datagramCost + cryptoFrameCost*int64(d.CryptoFrames) + handshakeByteCost*int64(d.Handshake) + shortByteCost*int64(d.Short)
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

// keepLocked charges a flow for what QUIC may keep beyond what was charged with its handshake.
func (a *Account) keepLocked(f *flow, cost int64, now time.Time) bool {
	kept := f.kept + cost
	if kept > maxKept {
		f.overdrawn = true
		return false
	}
	if f.handshake != nil && kept > honestlyKept && !a.chargeLocked(f, kept-max(f.kept, honestlyKept), now) {
		return false
	}
	f.kept = kept
	return true
}

// payerLocked is the flow charged for a datagram of f. Begin knows only the address, so the handshake of a
// flow may be noted at another flow of its address.
func (a *Account) payerLocked(f *flow) *flow {
	if f.handshake == nil {
		if began := a.beganLocked(f.from); began != nil {
			return began
		}
	}
	return f
}

// Sent notes a packet with a long header from the server: from then on the client uses the server's id in it.
func (a *Account) Sent(to netip.AddrPort, client, server []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flowLocked(to, client); f != nil && a.ids[string(server)] == nil && len(f.ids) < maxIDs {
		a.nameLocked(f, string(server))
	}
}

// Begin counts a connection from an address; nil: there is no place for it. Done frees the place.
func (a *Account) Begin(from netip.AddrPort, now time.Time) *Handshake {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.flows[from], func(f *flow) bool { return f.handshake == nil })
	if i < 0 {
		return nil
	}
	f := a.flows[from][i]
	if !a.chargeLocked(f, handshakeCost+max(0, f.kept-honestlyKept), now) {
		return nil
	}
	if !a.rates.Allow(netaddr.Smallest(from.Addr()), now) { // last: who finds no place retries soon
		a.refundLocked(f, 0)
		return nil
	}
	f.since, f.datagrams = now, 1
	f.handshake = &Handshake{account: a, flow: f}
	return f.handshake
}

// Answered says that the server has answered the handshake, so that what came until now is no longer kept;
// from now on end ends the connection, without waiting.
func (h *Handshake) Answered(end func()) {
	h.account.mu.Lock()
	h.end = end
	h.account.mu.Unlock()
	h.Read()
}

// Read says that what came until now is no longer kept: the handshake is complete, or a message was read.
func (h *Handshake) Read() {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	if f := h.flow; !f.over {
		h.account.refundLocked(f, handshakeCost)
		f.kept, f.overdrawn = 0, false
	}
}

// Overdrawn reports whether something was dropped because QUIC would have kept too much.
func (h *Handshake) Overdrawn() bool {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	return h.flow.overdrawn
}

// Done says that the connection has ended, or was admitted. It may be called again.
func (h *Handshake) Done() {
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	h.account.dropLocked(h.flow)
}

// chargeLocked takes memory for a flow. If it is short, the oldest connections of the network that has too
// much make room, or the oldest of all.
func (a *Account) chargeLocked(f *flow, cost int64, now time.Time) bool {
	address, known := f.from.Addr(), a.known.has(f.from.Addr(), now)
	for {
		where, ok := a.spent.full(address, cost, known)
		if ok {
			break
		}
		oldest := slices.IndexFunc(a.order, func(o *flow) bool {
			return o != f && o.handshake != nil && o.handshake.end != nil && now.Sub(o.since) > busyAfter &&
				(where == netip.Prefix{} || where.Contains(o.from.Addr().Unmap()))
		})
		if oldest < 0 {
			return false
		}
		o := a.order[oldest]
		a.dropLocked(o)
		o.handshake.end()
	}
	a.spent.add(address, cost)
	f.charged += cost
	return true
}

// refundLocked refunds all but left.
func (a *Account) refundLocked(f *flow, left int64) {
	a.spent.add(f.from.Addr(), left-f.charged)
	f.charged = left
}
