package limit

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// addressShare is the part of all places that one client address can have, whatever the services, and nodeServices
	// how many full services a node can have.
	addressShare, nodeServices = 4, 2
	// lendShare is the part of all places that is never lent.
	lendShare = 4
	// arrivalRate and arrivalBurst are what one client address may connect: more than any browser does, and any
	// benchmark for some seconds.
	arrivalRate, arrivalBurst = 512, 1 << 14 // per second
	// maxAddresses is how many client addresses without a connection are remembered.
	maxAddresses = 1 << 14
	// idleLong is how long a connection must be idle to make room for one of an address that has as many.
	idleLong = time.Minute
	// searchRate and searchBurst bound the search for what can make room, in places that are looked at.
	searchRate, searchBurst = 1 << 19, 1 << 21 // per second
)

// Why a client gets no place.
var (
	ErrServiceFull = errors.New("the service has as many clients as it may have")
	ErrNodeFull    = errors.New("the node has as many clients as it may have")
	ErrAddressFull = errors.New("the address has as many connections as it may have")
	ErrAddressFast = errors.New("the address connects more often than it may")
	ErrAllFull     = errors.New("there are as many public connections as open files allow")
)

// Service is a service of a node.
type Service struct{ Node, Name string }

// Clients bounds the public connections of a program: those of a service, of a node, of a client's address at a service
// and at all of them, and all together. At a limit a new connection is refused, unless another one can make room for it:
// the one that was idle for longest of the address that has most, if that has more than the new one's, or if it was idle
// for long.
type Clients struct {
	all, perService, perNode, perAddress, perAddressInAll int

	begin  time.Time
	search *rate.Limiter

	mu        sync.Mutex
	open      []*Client // in no order
	services  map[Service]int
	nodes     map[string]int
	pairs     map[pair]int
	addresses map[netip.Addr]*address
	sweepAt   int // so many addresses, and those that nobody needs are forgotten
	searches  uint64
	lent      int // places that leases have
}

// pair is a client's address at a service.
type pair struct {
	address netip.Addr
	service Service
}

// address is an address, or a network, that clients come from.
type address struct {
	open     int
	arrivals *rate.Limiter
	// What the search with this number counted.
	search  uint64
	counted int
}

// Client is a place of a public connection.
type Client struct {
	clients *Clients
	pair    pair
	from    *address // of pair
	evict   func()
	place   int          // in Clients.open; -1: it was given back; guarded by Clients.mu
	active  atomic.Int64 // when bytes moved last, since Clients.begin
}

// NewClients is for so many places in all, at a service, and of one address at a service.
func NewClients(all, perService, perAddress int) *Clients {
	half := max(all/2, 1) // neither a service nor a node has all
	perService = min(perService, half)
	return &Clients{
		all: all, perService: perService, perNode: min(nodeServices*perService, half),
		perAddress: perAddress, perAddressInAll: max(all/addressShare, 1),
		begin: time.Now(), search: rate.NewLimiter(searchRate, searchBurst), sweepAt: maxAddresses,
		services: make(map[Service]int), nodes: make(map[string]int),
		pairs: make(map[pair]int), addresses: make(map[netip.Addr]*address),
	}
}

// OfOneNode lets a single service have all places.
func (l *Clients) OfOneNode() *Clients {
	l.perService, l.perNode = l.all, l.all
	return l
}

// PerNode is how many clients a node may have.
func (l *Clients) PerNode() int { return l.perNode }

// MayLend is how many places Lend takes away at most.
func (l *Clients) MayLend() int { return max(l.all/lendShare*(lendShare-1), 1) }

// Lend takes n places away, whose descriptors something else needs that lasts, or gives -n back. It reports false if as
// many are lent as may be.
func (l *Clients) Lend(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && l.lent+n > l.MayLend() {
		return false
	}
	l.lent += n
	return true
}

// Open is how many places are taken.
func (l *Clients) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// Admit gives a connection a place until Leave, or says why not. Clients from an invalid address have no limits of their
// own. evict is called, at most once and by anybody, when the place is taken away: it ends the connection and does not
// wait for anything.
func (l *Clients) Admit(service Service, from netip.Addr, evict func()) (*Client, error) {
	c := &Client{clients: l, pair: pair{from, service}, evict: evict}
	c.Active()
	l.mu.Lock()
	evicted, err := l.admitLocked(c, time.Now())
	l.mu.Unlock()
	for _, victim := range evicted {
		victim.evict()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *Clients) admitLocked(c *Client, now time.Time) (evicted []*Client, err error) {
	from := l.addressLocked(c.pair.address, now)
	if c.pair.address.IsValid() && !from.arrivals.AllowN(now, 1) {
		return nil, ErrAddressFast
	}
	for {
		rivals, err := l.fullLocked(c.pair, from)
		if err == nil {
			break
		}
		victim := l.victimLocked(from, rivals)
		if victim == nil {
			return evicted, err
		}
		l.leaveLocked(victim)
		evicted = append(evicted, victim)
	}
	c.place, c.from = len(l.open), from
	l.open = append(l.open, c)
	l.services[c.pair.service]++
	l.nodes[c.pair.service.Node]++
	l.pairs[c.pair]++
	from.open++
	return evicted, nil
}

// fullLocked says which limit leaves no place, and who shares that limit.
func (l *Clients) fullLocked(p pair, from *address) (rivals func(pair) bool, err error) {
	known := p.address.IsValid()
	switch {
	case known && l.pairs[p] >= l.perAddress:
		return func(other pair) bool { return other == p }, ErrAddressFull
	case known && from.open >= l.perAddressInAll:
		return func(other pair) bool { return other.address == p.address }, ErrAddressFull
	case l.services[p.service] >= l.perService:
		return func(other pair) bool { return other.service == p.service }, ErrServiceFull
	case l.nodes[p.service.Node] >= l.perNode:
		return func(other pair) bool { return other.service.Node == p.service.Node }, ErrNodeFull
	case len(l.open) >= l.all-l.lent:
		return func(pair) bool { return true }, ErrAllFull
	}
	return nil, nil
}

// victimLocked is who makes room for a connection from an address; nil: nobody does.
func (l *Clients) victimLocked(from *address, rivals func(pair) bool) (victim *Client) {
	if !l.search.AllowN(time.Now(), min(len(l.open), searchBurst)) {
		return nil
	}
	l.searches++
	var most int
	for _, c := range l.open {
		if !rivals(c.pair) {
			continue
		}
		a := c.from
		if a.search != l.searches {
			a.search, a.counted = l.searches, 0
		}
		a.counted++
		most = max(most, a.counted)
	}
	if from.search != l.searches {
		from.search, from.counted = l.searches, 0
	}
	for _, c := range l.open {
		if rivals(c.pair) && c.from.counted == most &&
			(victim == nil || c.active.Load() < victim.active.Load()) {
			victim = c
		}
	}
	if victim == nil || most <= from.counted+1 && victim.idle() < idleLong {
		return nil
	}
	return victim
}

// addressLocked remembers an address, and forgets others where there are many.
func (l *Clients) addressLocked(from netip.Addr, now time.Time) *address {
	if a := l.addresses[from]; a != nil {
		return a
	}
	if len(l.addresses) >= l.sweepAt {
		l.forgetLocked(func(a *address) bool { return a.arrivals.TokensAt(now) >= arrivalBurst })
		if len(l.addresses) >= l.sweepAt {
			l.forgetLocked(func(*address) bool { return true })
		}
		l.sweepAt = max(maxAddresses, 2*len(l.addresses))
	}
	a := &address{arrivals: rate.NewLimiter(arrivalRate, arrivalBurst)}
	l.addresses[from] = a
	return a
}

func (l *Clients) forgetLocked(unneeded func(*address) bool) {
	for from, a := range l.addresses {
		if a.open == 0 && unneeded(a) {
			delete(l.addresses, from)
		}
	}
}

func (l *Clients) leaveLocked(c *Client) {
	if c.place < 0 {
		return
	}
	last := len(l.open) - 1
	l.open[c.place] = l.open[last]
	l.open[c.place].place = c.place
	l.open[last] = nil
	l.open = l.open[:last]
	c.place = -1
	decrease(l.services, c.pair.service)
	decrease(l.nodes, c.pair.service.Node)
	decrease(l.pairs, c.pair)
	c.from.open--
}

func decrease[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// Active notes that bytes move. A client without a place may be nil.
func (c *Client) Active() {
	if c != nil {
		c.active.Store(int64(time.Since(c.clients.begin)))
	}
}

func (c *Client) idle() time.Duration {
	return time.Since(c.clients.begin) - time.Duration(c.active.Load())
}

// Leave gives the place back; further calls do nothing.
func (c *Client) Leave() {
	if c == nil {
		return
	}
	c.clients.mu.Lock()
	defer c.clients.mu.Unlock()
	c.clients.leaveLocked(c)
}
