package control

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

const (
	// wrongBurst is how many wrong tokens an address may send at once, and wrongRate how many per second after that.
	wrongBurst, wrongRate = 10, 1
	// maxNetworks is how many addresses are remembered; those that did the least lately are forgotten first.
	maxNetworks = 1024
)

// tries counts what somebody may do so often only, by address, or by /64.
type tries struct {
	rate  rate.Limit
	burst int

	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter
}

func newTries(r rate.Limit, burst int) *tries {
	return &tries{rate: r, burst: burst, of: make(map[netip.Prefix]*rate.Limiter)}
}

// network is who counts as one address.
func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // all that have none together
	}
	address, bits := at.Addr().Unmap().WithZone(""), 32
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}

// may reports whether one may try.
func (t *tries) may(from netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.of[from]
	return l == nil || l.Tokens() >= 1
}

// count counts one.
func (t *tries) count(from netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.of[from]
	if l == nil {
		if len(t.of) >= maxNetworks {
			t.forgetLocked()
		}
		l = rate.NewLimiter(t.rate, t.burst)
		t.of[from] = l
	}
	l.Allow()
}

// forgetLocked forgets the address that did the least lately.
func (t *tries) forgetLocked() {
	var least netip.Prefix
	most := -1.0
	for from, l := range t.of {
		if tokens := l.Tokens(); tokens > most {
			least, most = from, tokens
		}
	}
	delete(t.of, least)
}
