package clients

import (
	"cmp"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/live"
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
type Service struct {
	Node, Name string
	// PerAddress is how many clients it wants of one address, if that is less than others may have; 0: it is not.
	PerAddress int
	// Most and MostPerAddress are how many clients it may have, and how many of one address, instead of what others may
	// have; 0: the same.
	Most, MostPerAddress int
}

// allowance is how many clients a service may have, its node, and an address at the service.
type allowance struct{ service, node, address int }

// allowanceLocked returns a service without its limits, and what it may have.
func (p *Places) allowanceLocked(s Service) (Service, allowance) {
	may := allowance{p.perService, p.perNode, cmp.Or(s.MostPerAddress, p.perAddress)}
	if s.Most > 0 {
		half := max(p.all/2, 1)
		may.service = min(s.Most, half)
		may.node = min(nodeServices*may.service, half)
	}
	if s.PerAddress > 0 {
		may.address = min(may.address, s.PerAddress)
	}
	return Service{Node: s.Node, Name: s.Name}, may
}

// Places limit the public connections of a program: per service, per node, per client address and network
// (at one service and over all), and in total. At a limit a new connection is refused, unless another one
// makes room for it (victimLocked).
type Places struct {
	all, perService, perNode, perAddress, perAddressInAll int

	begin  time.Time
	search *rate.Limiter

	mu       sync.Mutex
	open     []*Place // in no order
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

// Place is that of a public connection.
type Place struct {
	places  *Places
	service Service
	may     allowance // of the service
	from    *origin   // the smallest
	evict   func()
	index   int          // in Places.open; -1: none; guarded by Places.mu
	active  atomic.Int64 // when bytes moved last, since Places.begin
}

// New takes the number of places in total, per service, and per address at a service.
func New(all, perService, perAddress int) *Places {
	p := &Places{
		all: all, perAddressInAll: max(all/addressShare, 1),
		begin: time.Now(), search: rate.NewLimiter(searchRate, searchBurst), sweepAt: maxOrigins,
		services: make(map[Service]int), nodes: make(map[string]int),
		pairs: make(map[pair]int), origins: make(map[netip.Prefix]*origin),
	}
	p.SetLimits(perService, perAddress)
	return p
}

// SetLimits sets how many places there are per service, and per address at a service, for those that come from now on.
func (p *Places) SetLimits(perService, perAddress int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	half := max(p.all/2, 1) // neither a service nor a node gets all
	p.perService = min(perService, half)
	p.perNode, p.perAddress = min(nodeServices*p.perService, half), perAddress
}

// OfOneNode allows a single service to have all places.
func (p *Places) OfOneNode() *Places {
	p.perService, p.perNode = p.all, p.all
	return p
}

// PerNode is how many clients a node may have whose services may have most each, 0: as many as others; with those of
// services that are not its own.
func (p *Places) PerNode(most int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, may := p.allowanceLocked(Service{Most: most})
	return max(may.node, p.perNode)
}

// MayReserve is how many places Reserve takes at most.
func (p *Places) MayReserve() int { return max(p.all/reserveShare*(reserveShare-1), 1) }

// Reserve takes n places whose descriptors something permanent needs, or frees -n. It reports false if as
// many are reserved as may be.
func (p *Places) Reserve(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > 0 && p.reserved+n > p.MayReserve() {
		return false
	}
	p.reserved += n
	return true
}

// Open is how many places are in use.
func (p *Places) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Usage is how many places are taken, also by what is permanent, of how many.
func (p *Places) Usage() live.Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return live.Usage{Used: int64(len(p.open) + p.reserved), Limit: int64(p.all)}
}

// Admit gives a connection a place until Leave, or says why not. Clients from an invalid address have no
// limits of their own. evict is called when the place is taken away, at most once and from any goroutine: it
// must end the connection without waiting.
func (p *Places) Admit(service Service, from netip.Addr, evict func()) (*Place, error) {
	c := &Place{places: p, evict: evict, index: -1}
	c.Active()
	p.mu.Lock()
	c.service, c.may = p.allowanceLocked(service)
	evicted, err := p.admitLocked(c, from, time.Now())
	p.mu.Unlock()
	for _, victim := range evicted {
		victim.evict()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (p *Places) admitLocked(c *Place, from netip.Addr, now time.Time) (evicted []*Place, err error) {
	c.from = p.originLocked(from, now)
	if !c.from.arrived(now) {
		return nil, ErrAddressFast
	}
	return p.makeRoomLocked(c, now)
}

// makeRoomLocked gives c a place. It evicts nobody unless c gets one: several limits may be reached at once.
func (p *Places) makeRoomLocked(c *Place, now time.Time) (evicted []*Place, err error) {
	for {
		rivals, err := p.fullLocked(c)
		if err == nil {
			p.enterLocked(c)
			return evicted, nil
		}
		victim := p.victimLocked(c.from, rivals, now)
		if victim == nil {
			for _, spared := range evicted {
				p.enterLocked(spared)
			}
			return nil, err
		}
		p.leaveLocked(victim)
		evicted = append(evicted, victim)
	}
}

// fullLocked says which limit is reached, and who shares that limit.
func (p *Places) fullLocked(c *Place) (rivals func(*Place) bool, err error) {
	for o := range c.from.all() {
		if !o.limited() {
			break
		}
		if p.pairs[pair{o, c.service}] >= o.weight*c.may.address {
			return func(other *Place) bool { return other.service == c.service && other.from.in(o) }, o.full()
		}
		if o.open >= p.mostInAll(o) {
			return func(other *Place) bool { return other.from.in(o) }, o.full()
		}
	}
	switch {
	case p.services[c.service] >= c.may.service:
		return func(other *Place) bool { return other.service == c.service }, ErrServiceFull
	case p.nodes[c.service.Node] >= c.may.node:
		return func(other *Place) bool { return other.service.Node == c.service.Node }, ErrNodeFull
	case len(p.open) >= p.all-p.reserved:
		return func(*Place) bool { return true }, ErrAllFull
	}
	return nil, nil
}

// mostInAll leaves half of all places to others, whatever the network.
func (p *Places) mostInAll(o *origin) int {
	return max(min(o.weight*p.perAddressInAll, p.all/2), p.perAddressInAll)
}

func (p *Places) enterLocked(c *Place) {
	c.index = len(p.open)
	p.open = append(p.open, c)
	p.services[c.service]++
	p.nodes[c.service.Node]++
	for o := range c.from.all() {
		p.pairs[pair{o, c.service}]++
		o.open++
	}
}

func (p *Places) leaveLocked(c *Place) {
	if c.index < 0 {
		return
	}
	last := len(p.open) - 1
	p.open[c.index] = p.open[last]
	p.open[c.index].index = c.index
	p.open[last] = nil
	p.open = p.open[:last]
	c.index = -1
	decrease(p.services, c.service)
	decrease(p.nodes, c.service.Node)
	for o := range c.from.all() {
		decrease(p.pairs, pair{o, c.service})
		o.open--
	}
}

func decrease[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// Active notes that bytes move. c may be nil.
func (c *Place) Active() {
	if c != nil {
		c.active.Store(int64(time.Since(c.places.begin)))
	}
}

// Leave frees the place; further calls do nothing.
func (c *Place) Leave() {
	if c == nil {
		return
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	c.places.leaveLocked(c)
}
