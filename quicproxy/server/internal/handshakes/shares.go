package handshakes

import (
	"net/netip"

	"apquic/quicproxy/internal/netaddr"
)

// networkShares is an amount, and how much of it each network has.
type networkShares struct {
	most  int64
	total int64
	of    map[netip.Prefix]int64
}

func newNetworkShares(most int64) networkShares {
	return networkShares{most: most, of: make(map[netip.Prefix]int64)}
}

// add gives a network more, or takes some back, without checking any limit.
func (s *networkShares) add(address netip.Addr, amount int64) {
	s.total += amount
	for _, n := range netaddr.Networks(address) {
		if s.of[n.Prefix] += amount; s.of[n.Prefix] == 0 {
			delete(s.of, n.Prefix)
		}
	}
}

// full returns the smallest network of an address that would have too much with amount more; ok: none. The
// zero prefix stands for all addresses. A quarter is reserved for known addresses; of their networks only the
// smallest counts, so that no neighbour takes their share.
func (s *networkShares) full(address netip.Addr, amount int64, known bool) (which netip.Prefix, ok bool) {
	networks := netaddr.Networks(address)
	if known {
		networks = networks[:1]
	}
	for _, n := range networks {
		if s.of[n.Prefix]+amount > s.most/8*int64(n.Part) {
			return n.Prefix, false
		}
	}
	most := s.most
	if !known {
		most = s.most / 4 * 3
	}
	return netip.Prefix{}, s.total+amount <= most
}
