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
	// One client address can have one in addressShare of all places, over all services; a node can have
	// nodeServices full services.
	addressShare, nodeServices = 4, 2
	// reserveShare: one in reserveShare of all places is never reserved.
	reserveShare = 4
)

// Reasons why a client gets no place.
var (
	ErrServiceFull = errors.New("the service already has as many clients as it may have")
	ErrNodeFull    = errors.New("the node already has as many clients as it may have")
	ErrAddressFull = errors.New("the address already has as many connections as it may have")
	ErrNetworkFull = errors.New("the address's network already has as many connections as it may have")
	ErrAddressFast = errors.New("the address connects more often than it may")
	ErrAllFull     = errors.New("there are already as many public connections as the limit on open files allows")
)

// Service is a service of a node.
type Service struct{ Node, Name string }

// Clients limits the public connections of a program: per service, per node, per client address and network
// (at one service and over all), and in total. At a limit a new connection is refused, unless another one
// makes room for it (victimLocked).
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
	sweepAt  int // at this number of origins, those that nobody needs are forgotten
	searches uint64
	reserved int // places that leases have
}

// pair is where clients come from, and which service they use.
type pair struct {
	from    *origin
	service Service
}

// Client is the place of a public connection.
type Client struct {
	clients *Clients
	service Service
	from    *origin // the smallest
	evict   func()
	place   int          // in Clients.open; -1: none; guarded by Clients.mu
	active  atomic.Int64 // when bytes moved last, since Clients.begin
}

// NewClients takes the number of places in total, per service, and per address at a service.
func NewClients(all, perService, perAddress int) *Clients {
	half := max(all/2, 1) // neither a service nor a node gets all
	perService = min(perService, half)
	return &Clients{
		all: all, perService: perService, perNode: min(nodeServices*perService, half),
		perAddress: perAddress, perAddressInAll: max(all/addressShare, 1),
		begin: time.Now(), search: rate.NewLimiter(searchRate, searchBurst), sweepAt: maxOrigins,
		services: make(map[Service]int), nodes: make(map[string]int),
		pairs: make(map[pair]int), origins: make(map[netip.Prefix]*origin),
	}
}

// OfOneNode allows a single service to have all places.
func (l *Clients) OfOneNode() *Clients {
	l.perService, l.perNode = l.all, l.all
	return l
}

// PerNode is how many clients a node may have.
func (l *Clients) PerNode() int { return l.perNode }

// MayReserve is how many places Reserve takes at most.
func (l *Clients) MayReserve() int { return max(l.all/reserveShare*(reserveShare-1), 1) }

// Reserve takes n places whose descriptors something permanent needs, or frees -n. It reports false if as
// many are reserved as may be.
func (l *Clients) Reserve(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && l.reserved+n > l.MayReserve() {
		return false
	}
	l.reserved += n
	return true
}

// Open is how many places are in use.
func (l *Clients) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// Admit gives a connection a place until Leave, or says why not. Clients from an invalid address have no
// limits of their own. evict is called when the place is taken away, at most once and from any goroutine: it
// must end the connection without waiting.
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

// admitLocked evicts nobody unless c gets a place: several limits may be reached at once.
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

// fullLocked says which limit is reached, and who shares that limit.
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
	case len(l.open) >= l.all-l.reserved:
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

// Active notes that bytes move. c may be nil.
func (c *Client) Active() {
	if c != nil {
		c.active.Store(int64(time.Since(c.clients.begin)))
	}
}

// Leave frees the place; further calls do nothing.
func (c *Client) Leave() {
	if c == nil {
		return
	}
	c.clients.mu.Lock()
	defer c.clients.mu.Unlock()
	c.clients.leaveLocked(c)
}
