package clients

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/internal/netaddr"
)

const (
	// arrivalRate and arrivalBurst limit how often one client address may connect: more than any browser
	// does, or any benchmark for some seconds.
	arrivalRate, arrivalBurst = 512, 1 << 14 // per second
	// maxOrigins is how many addresses and networks without a connection are remembered.
	maxOrigins = 1 << 14
)

// origin is an address or network that clients come from. In IPv6 the smallest is a /64.
type origin struct {
	prefix netip.Prefix
	parent *origin // the next larger network; nil: there is none that counts
	// weight is how many times an address's share it may have, since it may belong to one person or to many.
	weight int

	arrivals *rate.Limiter
	search   *rate.Limiter // of the largest network; nil for others

	open, children int
	// What the search with this number counted, and for an address how it compares with the one that wants a
	// place.
	searched uint64
	counted  int
	has      size
	wants    int
}

// originLocked remembers an address with its networks, and forgets others if there are many.
func (p *Places) originLocked(from netip.Addr, now time.Time) *origin {
	networks := netaddr.Networks(from)
	if o := p.origins[networks[0].Prefix]; o != nil {
		return o
	}
	if len(p.origins) >= p.sweepAt {
		p.forgetLocked(func(o *origin) bool { return o.arrivals.TokensAt(now) >= float64(o.arrivals.Burst()) })
		if len(p.origins) >= p.sweepAt {
			p.forgetLocked(func(o *origin) bool { return o.weight == 1 }) // their networks are kept
		}
		if len(p.origins) >= p.sweepAt {
			p.forgetLocked(func(*origin) bool { return true })
		}
		p.sweepAt = max(maxOrigins, 2*len(p.origins))
	}
	var parent *origin
	for _, n := range slices.Backward(networks) {
		o := p.origins[n.Prefix]
		if o == nil {
			o = newOrigin(n.Prefix, parent, n.Weight)
			if parent == nil {
				o.search = rate.NewLimiter(p.search.Limit()/searchShare, p.search.Burst()/searchShare)
			}
			p.origins[n.Prefix] = o
		}
		parent = o
	}
	return parent
}

func newOrigin(prefix netip.Prefix, parent *origin, weight int) *origin {
	o := &origin{prefix: prefix, parent: parent, weight: weight}
	o.arrivals = rate.NewLimiter(rate.Limit(weight*arrivalRate), weight*arrivalBurst)
	if parent != nil {
		parent.children++
	}
	return o
}

func (p *Places) forgetLocked(unneeded func(*origin) bool) {
	for prefix, o := range p.origins {
		if o.open == 0 && o.children == 0 && unneeded(o) {
			delete(p.origins, prefix)
			if o.parent != nil {
				o.parent.children--
			}
		}
	}
}

// all yields the address and its networks, smallest first.
func (o *origin) all() iter.Seq[*origin] {
	return func(yield func(*origin) bool) {
		for ; o != nil && yield(o); o = o.parent {
		}
	}
}

// in reports whether o is other or within it.
func (o *origin) in(other *origin) bool {
	for ; o != nil; o = o.parent {
		if o == other {
			return true
		}
	}
	return false
}

// largest is the largest network of o that counts.
func (o *origin) largest() *origin {
	for o.parent != nil {
		o = o.parent
	}
	return o
}

// limited reports whether o is a valid address and so has limits.
func (o *origin) limited() bool { return o.prefix.IsValid() }

// full is the error for when o has too much.
func (o *origin) full() error {
	if o.weight == 1 {
		return ErrAddressFull
	}
	return ErrNetworkFull
}

// arrived reports whether one more connection may come now. A connection that the address's own rate refuses
// does not count for its networks.
func (o *origin) arrived(now time.Time) bool {
	for n := range o.all() {
		if n.limited() && !n.arrivals.AllowN(now, 1) {
			return false
		}
	}
	return true
}
