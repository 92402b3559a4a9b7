package flowlimit

import (
	"container/heap"
	"container/list"
	"net/netip"

	"apquic/quicproxy/internal/clients"
)

// forgedShare: flows that were not answered make room before others when they are more than one in forgedShare.
// They cannot be fewer: requests whose answer is on its way would take the places of each other.
const forgedShare = 4

// kind is what kind of flow: whether its service has answered.
type kind int

const (
	unanswered kind = iota
	answered
	kinds
)

// group is flows that have a limit together. Those of all, and of a node, consist of parts; those of a service,
// an address and a network have queues.
type group struct {
	limit int
	flows [kinds]int
	from  netip.Prefix // that it is of; zero: it is of a service, or of more
	*branch

	// queues are of *Place. The oldest comes first, of answered ones that which was idle for longest.
	queues [kinds]list.List
}

// branch is what a group has to do with those that consist of it, and it of them. Addresses and networks, which
// are many, have an empty one together.
type branch struct {
	service clients.Service // that it is of, or whose node
	parent  *group          // nil: there is none
	parts   [kinds]parts
	index   [kinds]int // in parent.parts
}

// member is what a flow has to do with a group.
type member struct {
	group   *group
	element *list.Element
	seen    int64 // Place.active when an answered flow got its place in the queue
}

func newGroup(limit int, parent *group) *group {
	g := &group{limit: max(limit, 1), branch: &branch{parent: parent}}
	for k := range kinds {
		g.parts[k].kind = k
		if parent != nil {
			heap.Push(&parent.parts[k], g)
		}
	}
	return g
}

func (g *group) len() int { return g.flows[unanswered] + g.flows[answered] }

// count notes that there are more flows, or fewer.
func (g *group) count(k kind, more int) {
	for g.flows[k] += more; g.parent != nil; g = g.parent {
		heap.Fix(&g.parent.parts[k], g.index[k])
		g.parent.flows[k] += more
	}
}

func (g *group) enter(k kind, c *Place) *list.Element {
	g.count(k, 1)
	return g.queues[k].PushBack(c)
}

func (g *group) leave(k kind, e *list.Element) {
	g.count(k, -1)
	g.queues[k].Remove(e)
}

// victim is the flow that makes room when the group, which is not empty, is full: the oldest that was not
// answered, or the longest idle one that was. It is of the service that has the most of these, so that services
// have equal shares.
func (g *group) victim() *Place {
	k := answered
	if g.flows[unanswered]*forgedShare > g.len() {
		k = unanswered
	}
	for len(g.parts[k].groups) > 0 {
		g = g.parts[k].groups[0]
	}
	if k == unanswered {
		return g.queues[k].Front().Value.(*Place)
	}
	return g.longestIdle()
}

// longestIdle finds the longest idle of the answered flows. Those over which something passed since they got
// their place in the queue go to its end, so each step of the search is one that a datagram has saved.
func (g *group) longestIdle() *Place {
	queue := &g.queues[answered]
	for range queue.Len() {
		c := queue.Front().Value.(*Place)
		active, m := c.active.Load(), c.in(g)
		if active == m.seen {
			return c
		}
		m.seen = active
		queue.MoveToBack(m.element)
	}
	return queue.Front().Value.(*Place)
}

func (c *Place) in(g *group) *member {
	for i := range c.members {
		if m := &c.members[i]; m.group == g {
			return m
		}
	}
	panic("flowlimit: a flow is in the queue of another group")
}

// parts is a heap of groups: that with the most flows of a kind comes first.
type parts struct {
	kind   kind
	groups []*group
}

func (p *parts) Len() int           { return len(p.groups) }
func (p *parts) Less(i, j int) bool { return p.groups[i].flows[p.kind] > p.groups[j].flows[p.kind] }
func (p *parts) Swap(i, j int) {
	p.groups[i], p.groups[j] = p.groups[j], p.groups[i]
	p.groups[i].index[p.kind], p.groups[j].index[p.kind] = i, j
}

func (p *parts) Push(part any) {
	g := part.(*group)
	g.index[p.kind] = len(p.groups)
	p.groups = append(p.groups, g)
}

func (p *parts) Pop() any {
	last := len(p.groups) - 1
	g := p.groups[last]
	p.groups[last] = nil
	p.groups = p.groups[:last]
	return g
}
