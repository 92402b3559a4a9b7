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
)

// Why a client gets no place.
var (
	ErrServiceFull = errors.New("the service has as many clients as it may have")
	ErrNodeFull    = errors.New("the node has as many clients as it may have")
	ErrAddressFull = errors.New("the address has as many connections as it may have")
	ErrNetworkFull = errors.New("the network of the address has as many connections as it may have")
	ErrAddressFast = errors.New("the address connects more often than it may")
	ErrAllFull     = errors.New("there are as many public connections as open files allow")
)

// Service is a service of a node.
type Service struct{ Node, Name string }

// Clients bounds the public connections of a program: those of a service, of a node, of a client's address or network at
// a service and at all of them, and all together. At a limit a new connection is refused, unless another one makes room
// for it (victimLocked).
type Clients struct {
	all, perService, perNode, perAddress, perAddressInAll int

	begin  time.Time
	search *rate.Limiter

	mu       sync.Mutex
	open     []*Client // in no order
	services map[Service]int
	nodes    map[string]int
	pairs    map[pair]int
	origins  map[netip.Prefix]*origin
	sweepAt  int // so many origins, and those that nobody needs are forgotten
	searches uint64
	lent     int // places that leases have
}

// pair is where clients come from, and to which service.
type pair struct {
	from    *origin
	service Service
}

// Client is a place of a public connection.
type Client struct {
	clients *Clients
	service Service
	from    *origin // the smallest
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
		begin: time.Now(), search: rate.NewLimiter(searchRate, searchBurst), sweepAt: maxOrigins,
		services: make(map[Service]int), nodes: make(map[string]int),
		pairs: make(map[pair]int), origins: make(map[netip.Prefix]*origin),
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
	c := &Client{clients: l, service: service, evict: evict, place: -1}
	c.Active()
	l.mu.Lock()
	evicted, err := l.admitLocked(c, from, time.Now())
	l.mu.Unlock()
	for _, victim := range evicted {
		victim.evict()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// admitLocked takes a place away from nobody unless c gets one: several limits may be reached at once.
func (l *Clients) admitLocked(c *Client, from netip.Addr, now time.Time) (evicted []*Client, err error) {
	c.from = l.originLocked(from, now)
	if !c.from.arrived(now) {
		return nil, ErrAddressFast
	}
	for {
		rivals, err := l.fullLocked(c)
		if err == nil {
			l.enterLocked(c)
			return evicted, nil
		}
		victim := l.victimLocked(c.from, rivals, now)
		if victim == nil {
			for _, spared := range evicted {
				l.enterLocked(spared)
			}
			return nil, err
		}
		l.leaveLocked(victim)
		evicted = append(evicted, victim)
	}
}

// fullLocked says which limit leaves no place, and who shares that limit.
func (l *Clients) fullLocked(c *Client) (rivals func(*Client) bool, err error) {
	for o := range c.from.all() {
		if !o.limited() {
			break
		}
		if l.pairs[pair{o, c.service}] >= l.mostAtService(o) {
			return func(other *Client) bool { return other.service == c.service && other.from.in(o) }, o.full()
		}
		if o.open >= l.mostInAll(o) {
			return func(other *Client) bool { return other.from.in(o) }, o.full()
		}
	}
	switch {
	case l.services[c.service] >= l.perService:
		return func(other *Client) bool { return other.service == c.service }, ErrServiceFull
	case l.nodes[c.service.Node] >= l.perNode:
		return func(other *Client) bool { return other.service.Node == c.service.Node }, ErrNodeFull
	case len(l.open) >= l.all-l.lent:
		return func(*Client) bool { return true }, ErrAllFull
	}
	return nil, nil
}

func (l *Clients) mostAtService(o *origin) int { return o.weight * l.perAddress }

// mostInAll leaves half of all places to others, whatever the network.
func (l *Clients) mostInAll(o *origin) int {
	return max(min(o.weight*l.perAddressInAll, l.all/2), l.perAddressInAll)
}

func (l *Clients) enterLocked(c *Client) {
	c.place = len(l.open)
	l.open = append(l.open, c)
	l.services[c.service]++
	l.nodes[c.service.Node]++
	for o := range c.from.all() {
		l.pairs[pair{o, c.service}]++
		o.open++
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
	decrease(l.services, c.service)
	decrease(l.nodes, c.service.Node)
	for o := range c.from.all() {
		decrease(l.pairs, pair{o, c.service})
		o.open--
	}
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

// Leave gives the place back; further calls do nothing.
func (c *Client) Leave() {
	if c == nil {
		return
	}
	c.clients.mu.Lock()
	defer c.clients.mu.Unlock()
	c.clients.leaveLocked(c)
}
