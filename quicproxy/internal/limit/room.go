package limit

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// idleLong is how long a connection must be idle to make room for one of an address that has as many.
	idleLong = time.Minute
	// searchRate and searchBurst bound the search for what can make room, in places that are looked at, and searchShare is
	// the part that the largest network of an address can use: else it would keep others from making room.
	searchRate, searchBurst = 1 << 20, 1 << 22 // per second
	searchShare             = 4
)

// size is how much clients have of what is short: of their address alone, then of the largest of its networks up to the
// next one, and so on. Networks count less than addresses, by their weight.
type size [3]int

// victimLocked is who makes room for a connection from an address; nil: nobody does. It is the one that was idle for
// longest of the largest address, where the largest may be a network, and in it the largest again. The two are compared
// without what both belong to, which stays as large whoever has the place: a neighbour of somebody greedy
// is not greedy. The largest has to be larger than the new one's, or as large and idle for long.
func (l *Clients) victimLocked(from *origin, rivals func(*Client) bool, now time.Time) (victim *Client) {
	if !l.mayLookLocked(from.largest().search, now) || !l.mayLookLocked(l.search, now) {
		return nil
	}
	l.searches++
	var addresses []*origin
	for _, c := range l.open {
		if !rivals(c) {
			continue
		}
		if c.from.searched != l.searches {
			addresses = append(addresses, c.from)
		}
		l.countLocked(c.from, 1)
	}
	for _, o := range addresses {
		for network := o.parent; network != nil; network = network.parent {
			l.countLocked(network, o.counted)
		}
	}
	for _, o := range addresses {
		o.has, o.wants = l.compareLocked(o, from)
	}
	var largest size
	elapsed := now.Sub(l.begin)
	for _, c := range l.open {
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

func (l *Clients) mayLookLocked(limit *rate.Limiter, now time.Time) bool {
	return limit.AllowN(now, min(len(l.open), limit.Burst()))
}

// countLocked counts clients of an address.
func (l *Clients) countLocked(o *origin, clients int) {
	if o.searched != l.searches {
		o.searched, o.counted = l.searches, 0
	}
	o.counted += clients
}

// compareLocked returns what an address has and what another one would have, without the networks of both.
func (l *Clients) compareLocked(one, other *origin) (has size, wants int) {
	level := 0
	for ; one != nil && !other.in(one); one = one.parent {
		has[level] = l.sizeLocked(one, 0)
		if level > 0 {
			has[level] = max(has[level], has[level-1])
		}
		level++
	}
	for ; level > 0 && level < len(has); level++ {
		has[level] = has[level-1]
	}
	for ; other != one; other = other.parent {
		wants = max(wants, l.sizeLocked(other, 1))
	}
	return has, wants
}

// sizeLocked is what o has, with so many more.
func (l *Clients) sizeLocked(o *origin, more int) int {
	if o.searched == l.searches {
		more += o.counted
	}
	return more * heaviest / o.weight
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
