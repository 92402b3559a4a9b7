package control

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

const (
	// wrongBurst is how many wrong tokens an address may send at once, and wrongRate how many per second after that.
	wrongBurst, wrongRate = 10, 1
	// maxNetworks is how many addresses are remembered; those that tried longest ago are forgotten first.
	maxNetworks = 1024
)

// tries counts wrong tokens by address, or by /64.
type tries struct {
	mu    sync.Mutex
	wrong map[netip.Prefix]*rate.Limiter
}

func newTries() *tries { return &tries{wrong: make(map[netip.Prefix]*rate.Limiter)} }

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
	l := t.wrong[from]
	return l == nil || l.Tokens() >= 1
}

// failed counts a wrong token.
func (t *tries) failed(from netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.wrong[from]
	if l == nil {
		if len(t.wrong) >= maxNetworks {
			t.forgetLocked()
		}
		l = rate.NewLimiter(wrongRate, wrongBurst)
		t.wrong[from] = l
	}
	l.Allow()
}

// forgetLocked forgets the address with the fewest wrong tokens lately.
func (t *tries) forgetLocked() {
	var least netip.Prefix
	most := -1.0
	for from, l := range t.wrong {
		if tokens := l.Tokens(); tokens > most {
			least, most = from, tokens
		}
	}
	delete(t.wrong, least)
}
