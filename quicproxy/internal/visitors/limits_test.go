package visitors

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"apquic/quicproxy"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/ruling"
)

// TestRulesOfServer: what a rule says about a node goes before what the server says for all, but not before what the service
// says; and a refusal names the rule only if it is the reason.
func TestRulesOfServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		by := func(n int64) ruling.Limit { return ruling.Limit{Value: n, By: `rule "guests"`} }
		from := netip.MustParseAddr("192.0.2.1")
		for _, test := range []struct {
			what   string
			server quicproxy.Visitors
			limits ruling.Limits
			node   quicproxy.Visitors
			rate   int // 0: no limit
			rule   bool
		}{
			{"the server alone", quicproxy.Visitors{Rate: 2}, ruling.Limits{}, quicproxy.Visitors{}, 2, false},
			{"fewer", quicproxy.Visitors{Rate: 2}, ruling.Limits{Rate: by(1)}, quicproxy.Visitors{}, 1, true},
			{"more", quicproxy.Visitors{Rate: 2}, ruling.Limits{Rate: by(5)}, quicproxy.Visitors{}, 5, true},
			{"any", quicproxy.Visitors{Rate: 2}, ruling.Limits{Rate: by(0)}, quicproxy.Visitors{}, 0, true},
			{"the service wants fewer", quicproxy.Visitors{Rate: 2}, ruling.Limits{Rate: by(5)}, quicproxy.Visitors{Rate: 3}, 3, false},
			{"the service wants any", quicproxy.Visitors{}, ruling.Limits{Rate: by(5)}, quicproxy.Visitors{Rate: 9}, 5, true},
		} {
			g := NewGate(test.server, nil)
			g.Set(test.node)
			g.SetLimits(test.limits)
			admitted := 0
			var err error
			for admitted < 100 && err == nil {
				if err = g.Admit(from); err == nil {
					admitted++
				}
			}
			want := burstSeconds * test.rate
			if test.rate == 0 {
				want = 100
			}
			if admitted != want {
				t.Errorf("%s: %d at once, want %d", test.what, admitted, want)
			}
			if told := g.Count(err); err != nil && (!errors.Is(told, ErrFast) || (told.Error() == err.Error()+` (rule "guests")`) != test.rule) {
				t.Errorf("%s: %v", test.what, told)
			}
		}
		g := NewGate(quicproxy.Visitors{BytesIn: 5000, BytesOut: 5000}, nil)
		g.SetLimits(ruling.Limits{BytesIn: by(0), Clients: by(7), PerAddress: by(3)})
		if g.In.Limited() || !g.Out.Limited() {
			t.Error("bytes per second are others")
		}
		if s := g.Limited(clients.Service{Name: "web"}); s != (clients.Service{Name: "web", Most: 7, MostPerAddress: 3}) {
			t.Errorf("%+v", s)
		}
		for err, named := range map[error]bool{
			clients.ErrServiceFull: true, clients.ErrNodeFull: true, clients.ErrAddressFull: true, clients.ErrNetworkFull: false, clients.ErrAllFull: false, ErrNetwork: false,
		} {
			if told := g.Count(fmt.Errorf("refused: %w", err)); !errors.Is(told, err) || (told.Error() != "refused: "+err.Error()) != named {
				t.Errorf("%v: %v", err, told)
			}
		}
		g.SetLimits(ruling.Limits{})
		if !g.In.Limited() || g.Count(clients.ErrServiceFull).Error() != clients.ErrServiceFull.Error() {
			t.Error("the rule still holds")
		}
	})
}
