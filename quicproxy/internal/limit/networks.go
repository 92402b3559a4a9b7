package limit

import "net/netip"

// A network is what an address belongs to, and the part of something that all of it may have.
type network struct {
	prefix netip.Prefix
	part   int // of 8
}

// networksOf are the networks of an address, the smallest first: in IPv6 whoever has one address has a /64, and often a
// /56 or a /48; in IPv4 a neighbour may have a /24.
func networksOf(address netip.Addr) []network {
	address = address.Unmap()
	sizes, parts := []int{32, 24}, []int{4, 5}
	if address.Is6() {
		sizes, parts = []int{64, 56, 48}, []int{2, 3, 4}
	}
	networks := make([]network, len(sizes))
	for i, bits := range sizes {
		prefix, _ := address.Prefix(bits) // the zero value for what is no IP address
		networks[i] = network{prefix, parts[i]}
	}
	return networks
}

// networkShares is an amount, and how much of it each network has.
type networkShares struct {
	most  int64
	total int64
	of    map[netip.Prefix]int64
}

func newNetworkShares(most int64) networkShares {
	return networkShares{most: most, of: make(map[netip.Prefix]int64)}
}

// add gives a network more, or takes some back. It asks nobody.
func (s *networkShares) add(address netip.Addr, amount int64) {
	s.total += amount
	for _, n := range networksOf(address) {
		if s.of[n.prefix] += amount; s.of[n.prefix] == 0 {
			delete(s.of, n.prefix)
		}
	}
}

// full returns the smallest network of an address that would have too much with so much more; ok: none. The zero value
// stands for all addresses. A quarter is for those that are known; of their networks only the smallest counts, so that
// no neighbour takes their share.
func (s *networkShares) full(address netip.Addr, amount int64, known bool) (which netip.Prefix, ok bool) {
	networks := networksOf(address)
	if known {
		networks = networks[:1]
	}
	for _, n := range networks {
		if s.of[n.prefix]+amount > s.most/8*int64(n.part) {
			return n.prefix, false
		}
	}
	most := s.most
	if !known {
		most = s.most / 4 * 3
	}
	return netip.Prefix{}, s.total+amount <= most
}
