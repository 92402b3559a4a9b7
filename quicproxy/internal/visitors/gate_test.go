package visitors

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/ruling"
)

func networks(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestNetworks: whose network may visit: deny goes first, an empty allow means all, and both sides' rules hold.
func TestNetworks(t *testing.T) {
	t.Parallel()
	home, both := quicproxy.Visitors{Allow: networks("192.0.2.0/24", "2001:db8::/32")}, quicproxy.Visitors{
		Allow: networks("192.0.2.0/24"), Deny: networks("192.0.2.66/32", "2001:db8:bad::/48", "fe80::/10"),
	}
	deny := quicproxy.Visitors{Deny: both.Deny}
	everybody := quicproxy.Visitors{}
	for _, test := range []struct {
		server, node quicproxy.Visitors
		from         string
		want         error
	}{
		{everybody, everybody, "198.51.100.1", nil},
		{everybody, everybody, "", nil},
		{everybody, home, "192.0.2.1", nil},
		{everybody, home, "::ffff:192.0.2.1", nil},
		{everybody, home, "2001:db8:1::1", nil},
		{everybody, home, "192.0.3.1", ErrNetwork},
		{everybody, home, "2001:db9::1", ErrNetwork},
		{everybody, home, "", ErrNetwork},
		{everybody, both, "192.0.2.66", ErrNetwork},
		{everybody, both, "::ffff:192.0.2.66", ErrNetwork},
		{everybody, both, "192.0.2.67", nil},
		{everybody, deny, "192.0.2.66", ErrNetwork},
		{everybody, deny, "198.51.100.1", nil},
		{everybody, deny, "2001:db8:bad::1", ErrNetwork},
		{everybody, deny, "fe80::1%eth0", ErrNetwork},
		{everybody, deny, "", ErrNetwork},
		{deny, home, "192.0.2.66", ErrNetwork},
		{deny, home, "192.0.2.1", nil},
		{home, deny, "192.0.2.66", ErrNetwork},
		{home, everybody, "198.51.100.1", ErrNetwork},
	} {
		g := NewGate(test.server, nil)
		g.Set(test.node)
		from, _ := netip.ParseAddr(test.from)
		if got := g.Admit(from); got != test.want {
			t.Errorf("server %v, node %v: %q is admitted with %v, want %v", test.server, test.node, test.from, got, test.want)
		}
	}
}

// TestCountries: whose country may visit. An address of none may not where some are allowed.
func TestCountries(t *testing.T) {
	t.Parallel()
	country := func(a netip.Addr) string {
		return map[string]string{"192.0.2.1": "DE", "192.0.2.2": "FR"}[a.String()]
	}
	german, notFrench := quicproxy.Visitors{AllowCountries: []string{"AT", "DE"}}, quicproxy.Visitors{DenyCountries: []string{"FR"}}
	for _, test := range []struct {
		server, node quicproxy.Visitors
		from         string
		want         error
	}{
		{quicproxy.Visitors{}, german, "192.0.2.1", nil},
		{quicproxy.Visitors{}, german, "::ffff:192.0.2.1", nil},
		{quicproxy.Visitors{}, german, "192.0.2.2", ErrCountry},
		{quicproxy.Visitors{}, german, "192.0.2.3", ErrCountry},
		{quicproxy.Visitors{}, notFrench, "192.0.2.2", ErrCountry},
		{quicproxy.Visitors{}, notFrench, "192.0.2.3", nil},
		{notFrench, german, "192.0.2.2", ErrCountry},
		{german, notFrench, "192.0.2.1", nil},
		{german, quicproxy.Visitors{}, "192.0.2.3", ErrCountry},
		{quicproxy.Visitors{}, quicproxy.Visitors{Deny: networks("192.0.2.2/32"), DenyCountries: []string{"FR"}}, "192.0.2.2", ErrNetwork},
	} {
		g := NewGate(test.server, country)
		g.Set(test.node)
		if got := g.Admit(netip.MustParseAddr(test.from)); got != test.want {
			t.Errorf("server %v, node %v: %q is admitted with %v, want %v", test.server, test.node, test.from, got, test.want)
		}
	}
	blind := NewGate(german, nil) // it never becomes a rule that lets everybody in
	if got := blind.Admit(netip.MustParseAddr("192.0.2.1")); got != ErrCountry {
		t.Errorf("without countries: %v", got)
	}
}

// TestArrivals: how often an address may connect; the lower rate of server and node holds.
func TestArrivals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ server, node, want int }{{0, 3, 3}, {3, 0, 3}, {2, 3, 2}, {3, 2, 2}} {
			g := NewGate(quicproxy.Visitors{Rate: test.server}, nil)
			g.Set(quicproxy.Visitors{Rate: test.node})
			admitted := 0
			for range 10_000 { // 100 s
				if g.Admit(netip.MustParseAddr("192.0.2.1")) == nil {
					admitted++
				}
				time.Sleep(10 * time.Millisecond)
			}
			if want := 100*test.want + burstSeconds*test.want; admitted < want-2 || admitted > want {
				t.Errorf("%+v: %d in 100 s, want %d", test, admitted, want)
			}
		}
		g := NewGate(quicproxy.Visitors{}, nil)
		g.Set(quicproxy.Visitors{Rate: 1})
		g.Set(quicproxy.Visitors{})
		for range 1000 {
			if err := g.Admit(netip.MustParseAddr("192.0.2.1")); err != nil {
				t.Fatalf("without a limit: %v", err)
			}
		}
	})
}

// TestLimits: the lower limit of server and node holds.
func TestLimits(t *testing.T) {
	t.Parallel()
	g := NewGate(quicproxy.Visitors{BytesOut: 5000}, nil)
	if g.In.Limited() || !g.Out.Limited() || g.Limited(clients.Service{}).PerAddress != 0 {
		t.Error("the server's limits do not hold")
	}
	g.Set(quicproxy.Visitors{BytesIn: 5000, PerAddress: 7})
	if !g.In.Limited() || !g.Out.Limited() || g.Limited(clients.Service{}).PerAddress != 7 {
		t.Error("the node's limits do not hold")
	}
	for _, test := range [][3]int{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {5, 6, 5}, {6, 5, 5}} {
		if got := smaller(test[0], test[1]); got != test[2] {
			t.Errorf("of %d and %d holds %d", test[0], test[1], got)
		}
	}
}

// TestRefused: each reason is counted, and said.
func TestRefused(t *testing.T) {
	t.Parallel()
	g := NewGate(quicproxy.Visitors{}, nil)
	for i, err := range []error{
		ErrNetwork, ErrCountry, ErrCountry, clients.ErrAddressFull, clients.ErrNetworkFull, clients.ErrAddressFull,
		ErrFast, ErrFast, ErrFast, clients.ErrAddressFast, nil, clients.ErrAllFull, clients.ErrServiceFull, ruling.ErrSpent, ruling.ErrSpent,
	} {
		if i%2 == 0 && err != nil {
			err = fmt.Errorf("because: %w", err)
		}
		g.Count(err)
	}
	for range 5 {
		g.Dropped()
	}
	want := quicproxy.Refused{Networks: 1, Countries: 2, Connections: 3, Rate: 4, Datagrams: 5, Month: 2}
	if got := g.Refused(); got != want || got.String() != "1 by network, 2 by country, 3 too many at once, 4 too fast, 5 datagrams, 2 with the bytes of the month used up" {
		t.Errorf("refused: %+v, %v", got, got)
	}
	if got := counts(&framing.VisitorsResponse{Services: []*framing.Refused{g.Counts("web")}}); got["web"] != want || len(got) != 1 {
		t.Errorf("told as %+v", got)
	}
	if got := NewGate(quicproxy.Visitors{}, nil).Counts("web"); got != nil {
		t.Errorf("nobody is told as %+v", got)
	}
	if s := (quicproxy.Refused{}).String(); s != "" {
		t.Errorf("nobody: %q", s)
	}
}

// TestSetWhileUsed: rules may change at any time.
func TestSetWhileUsed(t *testing.T) {
	t.Parallel()
	g := NewGate(quicproxy.Visitors{}, func(netip.Addr) string { return "DE" })
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 1000 {
				if i == 0 {
					g.Set(quicproxy.Visitors{Rate: n % 3, AllowCountries: []string{"DE"}, BytesIn: int64(n%2) << 20, Deny: networks("10.0.0.0/8")})
				}
				if err := g.Admit(netip.MustParseAddr("192.0.2.1")); err != nil && err != ErrFast {
					t.Error(err)
				}
				g.Limited(clients.Service{})
			}
		})
	}
	all.Wait()
}
