package memory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNetworkAccounts: a network does not get a share for each of its addresses.
func TestNetworkAccounts(t *testing.T) {
	t.Parallel()
	const budget = 2 << 20
	for _, test := range []struct {
		name, greedy, honest string
		share                int // of honest: this part of the budget
		neighbour            string
		ofNeighbour          int
	}{
		{"a /48", "2001:db8:7:%x00::1", "2001:db8:8::1", 5, "", 0},
		{"a /56", "2001:db8:7:70%02x::1", "2001:db8:8::1", 3, "2001:db8:7:7100::1", 4},
		{"a /24", "192.0.2.%d", "198.51.100.7", 5, "", 0},
		{"one address", "192.0.2.7", "198.51.100.7", 2, "192.0.2.255", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := New(budget)
			accounts := NewNetworkAccounts(m)
			for i := range 64 {
				from := test.greedy
				if strings.Contains(from, "%") {
					from = fmt.Sprintf(from, i)
				}
				a, _ := accounts.Open(netip.MustParseAddr(from))
				holds(a, "greedy", budget/64)
			}
			a, _ := accounts.Open(netip.MustParseAddr(test.honest))
			honest := a.Open("honest")
			wantShare(t, "an honest client", honest, budget/test.share)
			honest.Add(1)
			if test.neighbour != "" {
				b, _ := accounts.Open(netip.MustParseAddr(test.neighbour))
				wantShare(t, "his neighbour", b.Open("neighbour"), budget/test.ofNeighbour)
			}
		})
	}
}

// TestExcessOfNetwork: the owner of a whole network pays, rather than somebody with slightly more than one of
// its addresses.
func TestExcessOfNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(1000 << 10)
		accounts := NewNetworkAccounts(m)
		honest, _ := accounts.Open(netip.MustParseAddr("2001:db8:8::1"))
		holds(honest, "honest", 60<<10)
		for i := range 100 {
			a, _ := accounts.Open(netip.MustParseAddr(fmt.Sprintf("2001:db8:7:%x::1", i<<8)))
			holds(a, "greedy", 10<<10)
		}
		time.Sleep(time.Minute)
		for _, owner := range gone(m) {
			if owner != "greedy" {
				t.Errorf("%s has to go", owner)
			}
		}
	})
}

// TestGroups: weights are the sums of active members, and the shares of all active ones are at most the
// budget.
func TestGroups(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		const budget = 1 << 40
		m := New(budget)
		accounts := NewNetworkAccounts(m)
		type client struct {
			account *Account
			holding *Holding
			leave   func()
		}
		var here []client
		for range 500 {
			if len(here) > 0 && r.IntN(2) == 0 {
				i := r.IntN(len(here))
				here[i].holding.Close()
				here[i].leave()
				here = append(here[:i], here[i+1:]...)
			} else {
				from := netip.AddrFrom16([16]byte{32, 5: byte(r.IntN(2)), 6: byte(r.IntN(3)), 7: byte(r.IntN(5))})
				a, leave := accounts.Open(from)
				here = append(here, client{a, holds(a, "", 1+r.IntN(100)), leave})
			}
			sum := int64(0)
			for a := range m.active {
				sum += a.shareLocked()
			}
			if len(here) > 0 && (sum > budget || sum < budget-1000) {
				t.Fatalf("the shares of %d accounts are %d of %d", len(m.active), sum, int64(budget))
			}
		}
		for _, c := range here {
			c.holding.Close()
			c.leave()
		}
		if m.all.weights != 0 || accounts.Len() != 0 || m.Used() != 0 {
			t.Errorf("something is left: %d, %d, %d", m.all.weights, accounts.Len(), m.Used())
		}
	}
}
