package flowlimit

import (
	"container/heap"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/live"
)

// unansweredShare: a flow that its service never answered ends after one in unansweredShare of the idle time.
// Its client may be forged.
const unansweredShare = 3

// Limits are how many flows there may be in total, per node, per service, and per client address at a service; a
// network may have more than an address, by its weight.
type Limits struct{ All, Node, Service, Address int }

// Places limit the flows of a program. At a limit one of those that share it makes room (victim).
type Places struct {
	limits Limits
	begin  time.Time
	alone  branch

	mu       sync.Mutex
	all      *group
	nodes    map[string]*group
	services map[clients.Service]*group
	origins  map[origin]*group
}

// origin is an address or network from which clients use a service.
type origin struct {
	from    netip.Prefix
	service *group
}

// Place is that of a flow.
type Place struct {
	places   *Places
	end      func()
	active   atomic.Int64 // when something last passed, since Places.begin
	answered atomic.Bool  // by the service

	// Guarded by Places.mu.
	members []member // of the groups that have queues: the service comes first
	known   bool     // answered, and in the queues of these
	left    bool
}

// New returns Places without flows. Limits are 1 at least.
func New(limits Limits) *Places {
	return &Places{
		limits: limits, begin: time.Now(), all: newGroup(limits.All, nil),
		nodes: make(map[string]*group), services: make(map[clients.Service]*group), origins: make(map[origin]*group),
	}
}

// OfServer returns the Places of a server with a memory budget in bytes.
func OfServer(budget int64) *Places {
	// A flow costs cost bytes, of which all may have one in share parts of the budget.
	const cost, share = 3 << 9, 4
	return New(Limits{All: int(max(min(budget/share/cost, 1<<16), 1)), Node: 1 << 13, Service: 1 << 12, Address: 1 << 10})
}

// Open is how many flows there are.
func (p *Places) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.len()
}

// Usage is how many flows there are, of how many.
func (p *Places) Usage() live.Usage {
	return live.Usage{Used: int64(p.Open()), Limit: int64(p.limits.All)}
}

// Enter gives a flow a place until Leave. Clients from an invalid address have no limits of their own. end is
// called when the place is taken away, at most once and from any goroutine: it must end the flow without waiting.
func (p *Places) Enter(service clients.Service, from netip.Addr, end func()) *Place {
	c := &Place{places: p, end: end}
	c.Active()
	p.mu.Lock()
	evicted := p.enterLocked(c, service, from)
	p.mu.Unlock()
	for _, victim := range evicted {
		victim.end()
	}
	return c
}

func (p *Places) enterLocked(c *Place, service clients.Service, from netip.Addr) (evicted []*Place) {
	c.members = p.membersLocked(service, from)
	for i := len(c.members) - 1; i >= 0; i-- { // the service and what it is part of come last
		for g := c.members[i].group; g != nil; g = g.parent {
			if g.len() >= g.limit {
				victim := g.victim()
				p.leaveLocked(victim)
				evicted = append(evicted, victim)
			}
		}
	}
	for i := range c.members {
		m := &c.members[i]
		m.element = m.group.enter(unanswered, c)
	}
	for _, victim := range evicted {
		p.forgetLocked(victim) // not earlier: c may be of the same group
	}
	return evicted
}

// membersLocked returns what limits a flow: its service and its networks, largest first.
func (p *Places) membersLocked(service clients.Service, from netip.Addr) []member {
	s := find(p.services, service, func() *group {
		node := find(p.nodes, service.Node, func() *group { return newGroup(p.limits.Node, p.all) })
		return newGroup(p.limits.Service, node)
	})
	s.service = service
	members := make([]member, 1, 4)
	members[0].group = s
	networks := netaddr.Networks(from)
	for i := len(networks) - 1; i >= 0; i-- {
		if n := networks[i]; n.Prefix.IsValid() {
			g := find(p.origins, origin{n.Prefix, s}, func() *group {
				return &group{limit: max(n.Weight*p.limits.Address, 1), from: n.Prefix, branch: &p.alone}
			})
			members = append(members, member{group: g})
		}
	}
	return members
}

func find[K comparable](groups map[K]*group, key K, make func() *group) *group {
	g := groups[key]
	if g == nil {
		g = make()
		groups[key] = g
	}
	return g
}

func (p *Places) leaveLocked(c *Place) {
	if c.left {
		return
	}
	c.left = true
	k := unanswered
	if c.known {
		k = answered
	}
	for _, m := range c.members {
		m.group.leave(k, m.element)
	}
}

// forgetLocked forgets the groups of a flow that has left, if nothing is left in them.
func (p *Places) forgetLocked(c *Place) {
	s := c.members[0].group
	for _, m := range c.members[1:] {
		forget(p.origins, origin{m.group.from, s}, m.group)
	}
	forget(p.services, s.service, s)
	forget(p.nodes, s.service.Node, s.parent)
}

func forget[K comparable](groups map[K]*group, key K, g *group) {
	if g.len() > 0 || groups[key] != g {
		return
	}
	delete(groups, key)
	if g.parent != nil {
		for k := range kinds {
			heap.Remove(&g.parent.parts[k], g.index[k])
		}
	}
}

// Active notes that something passes.
func (c *Place) Active() { c.active.Store(int64(time.Since(c.places.begin))) }

// Answered notes that the service sends something: the client is not forged, or the service answers anybody.
func (c *Place) Answered() {
	if c.answered.Load() || c.answered.Swap(true) {
		return
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	if c.left {
		return
	}
	c.known = true
	for i := range c.members {
		m := &c.members[i]
		m.group.leave(unanswered, m.element)
		m.element, m.seen = m.group.enter(answered, c), c.active.Load()
	}
}

// Left is how much longer nothing may pass, if flows may be idle for so long.
func (c *Place) Left(idle time.Duration) time.Duration {
	if !c.answered.Load() {
		idle /= unansweredShare
	}
	return time.Duration(c.active.Load()) + idle - time.Since(c.places.begin)
}

// Idle is for how long nothing has passed, in seconds, and whether the service has ever answered.
func (c *Place) Idle() (seconds float64, answered bool) {
	idle := time.Since(c.places.begin) - time.Duration(c.active.Load())
	return max(idle.Seconds(), 0), c.answered.Load()
}

// Leave frees the place; further calls do nothing.
func (c *Place) Leave() {
	if c == nil {
		return
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	c.places.leaveLocked(c)
	c.places.forgetLocked(c)
}
