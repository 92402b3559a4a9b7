package clients

import (
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/internal/netaddr"
)

const (
	// idleLong is how long a connection must be idle to make room for one from an address that has as many.
	idleLong = time.Minute
	// searchRate and searchBurst limit the search for a connection to evict, in places visited. The largest
	// network of an address can use one part in searchShare; otherwise it would keep others from getting
	// room.
	searchRate, searchBurst = 1 << 20, 1 << 22 // per second
	searchShare             = 4
)

// size is how many places an origin has: its address, then the network around that, and so on. Networks count
// less than addresses, by their weight.
type size [3]int

// victimLocked is the client that makes room for a connection from an address; nil: nobody does. It is the
// longest idle one of the largest origin: the largest network, and within it the largest again. Networks that
// contain both addresses are not compared, since their size stays the same whoever has the place: a neighbour
// of somebody greedy is not greedy. The largest has to be larger than the newcomer's, or as large and idle
// for long.
func (p *Places) victimLocked(from *origin, rivals func(*Place) bool, now time.Time) (victim *Place) {
	if !p.mayLookLocked(from.largest().search, now) || !p.mayLookLocked(p.search, now) {
		return nil
	}
	p.searches++
	var addresses []*origin
	for _, c := range p.open {
		if !rivals(c) {
			continue
		}
		if c.from.searched != p.searches {
			addresses = append(addresses, c.from)
		}
		p.countLocked(c.from, 1)
	}
	for _, o := range addresses {
		for network := o.parent; network != nil; network = network.parent {
			p.countLocked(network, o.counted)
		}
	}
	for _, o := range addresses {
		o.has, o.wants = p.compareLocked(o, from)
	}
	var largest size
	elapsed := now.Sub(p.begin)
	for _, c := range p.open {
		if !rivals(c) {
			continue
		}
		has, active := c.from.has, time.Duration(c.active.Load())
		if has[2] < c.from.wants || has[2] == c.from.wants && elapsed-active < idleLong {
			continue
		}
		order := has.compare(largest)
		if victim == nil || order > 0 || order == 0 && active < time.Duration(victim.active.Load()) {
			victim, largest = c, has
		}
	}
	return victim
}

func (p *Places) mayLookLocked(limit *rate.Limiter, now time.Time) bool {
	return limit.AllowN(now, min(len(p.open), limit.Burst()))
}

// countLocked counts clients of an address.
func (p *Places) countLocked(o *origin, clients int) {
	if o.searched != p.searches {
		o.searched, o.counted = p.searches, 0
	}
	o.counted += clients
}

// compareLocked returns what one address has and what other would have, without networks that contain both.
func (p *Places) compareLocked(one, other *origin) (has size, wants int) {
	level := 0
	for ; one != nil && !other.in(one); one = one.parent {
		has[level] = p.sizeLocked(one, 0)
		if level > 0 {
			has[level] = max(has[level], has[level-1])
		}
		level++
	}
	for ; level > 0 && level < len(has); level++ {
		has[level] = has[level-1]
	}
	for ; other != one; other = other.parent {
		wants = max(wants, p.sizeLocked(other, 1))
	}
	return has, wants
}

// sizeLocked is what o has, plus more.
func (p *Places) sizeLocked(o *origin, more int) int {
	if o.searched == p.searches {
		more += o.counted
	}
	return more * netaddr.MaxWeight / o.weight
}

// compare looks at the largest network first.
func (s size) compare(other size) int {
	for level := len(s) - 1; level >= 0; level-- {
		if s[level] != other[level] {
			return s[level] - other[level]
		}
	}
	return 0
}
