package visitors

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/pace"
	"apquic/quicproxy/internal/ruling"
)

// Why a visitor is refused.
var (
	ErrNetwork = errors.New("visitors from this network are not allowed")
	ErrCountry = errors.New("visitors from this country are not allowed")
	ErrFast    = errors.New("the address connects more often than it may to this service")
)

// burstSeconds is for how many seconds an address may connect at once, as a browser does.
const burstSeconds = 2

// Gate lets visitors of a service in, or not.
type Gate struct {
	// In and Out are the bytes per second from visitors and to them.
	In, Out pace.Rate

	mu       sync.Mutex
	server   quicproxy.Visitors
	country  func(netip.Addr) string // nil: countries are not known
	limits   ruling.Limits
	node     quicproxy.Visitors
	rate     int           // new connections per address and second; 0: no limit
	arrivals *limit.Sketch // nil without

	version atomic.Uint64 // of the rules, for those who asked before

	networks, countries, connections, fast, datagrams, month atomic.Uint64
}

// NewGate takes the rules of the server, and what tells the country of an address; nil: nothing does.
func NewGate(server quicproxy.Visitors, country func(netip.Addr) string) *Gate {
	g := new(Gate)
	g.SetServer(server, country)
	return g
}

// SetServer sets the rules of the server, as Set does those of the node.
func (g *Gate) SetServer(server quicproxy.Visitors, country func(netip.Addr) string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.server, g.country = server, country
	g.setLocked(g.node)
}

// Set sets the rules of the node, for visitors from now on; the bytes per second are those of all from now on.
func (g *Gate) Set(node quicproxy.Visitors) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setLocked(node)
}

func (g *Gate) setLocked(node quicproxy.Visitors) {
	g.node = node
	g.version.Add(1)
	server := g.limits.On(g.server)
	if g.rate = smaller(server.Rate, node.Rate); g.rate == 0 {
		g.arrivals = nil
	} else if g.arrivals == nil {
		g.arrivals = limit.NewSketch(time.Now())
	}
	g.In.Set(smaller(server.BytesIn, node.BytesIn))
	g.Out.Set(smaller(server.BytesOut, node.BytesOut))
}

// Version is another one whenever the rules may be others.
func (g *Gate) Version() uint64 { return g.version.Load() }

// smaller is the smaller of two limits, of which 0 is none.
func smaller[T int | int64](a, b T) T {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Allows says why visitors from an address are not allowed; nil: they are.
func (g *Gate) Allows(from netip.Addr) error {
	g.mu.Lock()
	server, node, countryOf, spent := g.server, g.node, g.country, g.limits.Spent
	g.mu.Unlock()
	if spent != "" {
		return ruling.ErrSpent
	}
	from = from.Unmap().WithZone("")
	err := cmp.Or(checkNetwork(server, from), checkNetwork(node, from))
	if err == nil && (NeedsCountries(server) || NeedsCountries(node)) {
		country := ""
		if countryOf != nil {
			country = countryOf(from)
		}
		err = cmp.Or(checkCountry(server, country), checkCountry(node, country))
	}
	return err
}

// Admit says why a visitor who connects from an address is refused; nil: it is welcome.
func (g *Gate) Admit(from netip.Addr) error {
	if err := g.Allows(from); err != nil {
		return err
	}
	g.mu.Lock()
	rate, arrivals := g.rate, g.arrivals
	g.mu.Unlock()
	if arrivals != nil && !arrivals.Allow(from, time.Second/time.Duration(rate), burstSeconds*rate, time.Now()) {
		return ErrFast
	}
	return nil
}

func checkNetwork(v quicproxy.Visitors, from netip.Addr) error {
	contains := func(network netip.Prefix) bool { return network.Contains(from) }
	switch {
	case len(v.Allow)+len(v.Deny) > 0 && !from.IsValid(),
		slices.ContainsFunc(v.Deny, contains),
		len(v.Allow) > 0 && !slices.ContainsFunc(v.Allow, contains):
		return ErrNetwork
	}
	return nil
}

// checkCountry refuses an address of no country where some are allowed.
func checkCountry(v quicproxy.Visitors, country string) error {
	if slices.Contains(v.DenyCountries, country) || len(v.AllowCountries) > 0 && !slices.Contains(v.AllowCountries, country) {
		return ErrCountry
	}
	return nil
}

// Count counts why a visitor was refused, also by package clients; other errors do not count. It returns the error, with
// the rule of the server that says so.
func (g *Gate) Count(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ruling.ErrSpent):
		g.month.Add(1)
	case errors.Is(err, ErrNetwork):
		g.networks.Add(1)
	case errors.Is(err, ErrCountry):
		g.countries.Add(1)
	case errors.Is(err, clients.ErrAddressFull), errors.Is(err, clients.ErrNetworkFull):
		g.connections.Add(1)
	case errors.Is(err, ErrFast), errors.Is(err, clients.ErrAddressFast):
		g.fast.Add(1)
	}
	return g.blame(err)
}

// Dropped counts a datagram for which there were too many bytes.
func (g *Gate) Dropped() { g.datagrams.Add(1) }

// Refused returns the counts.
func (g *Gate) Refused() quicproxy.Refused {
	return quicproxy.Refused{
		Networks: g.networks.Load(), Countries: g.countries.Load(), Connections: g.connections.Load(),
		Rate: g.fast.Load(), Datagrams: g.datagrams.Load(), Month: g.month.Load(),
	}
}
