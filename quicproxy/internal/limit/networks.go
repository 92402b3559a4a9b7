package limit

import "net/netip"

// A network is what an address belongs to, and the part of something that all of it may have.
type network struct {
	prefix netip.Prefix
	part   int // of 8
}

// prefixesOf are the networks of an address, the smallest first: in IPv6 whoever has one address has a /64, and often a
// /56 or a /48; in IPv4 a neighbour may have a /24. What is no IP address has the zero prefix.
func prefixesOf(address netip.Addr) []netip.Prefix {
	address = address.Unmap().WithZone("")
	sizes := []int{32, 24}
	switch {
	case !address.IsValid():
		return []netip.Prefix{{}}
	case address.Is6():
		sizes = []int{64, 56, 48}
	}
	prefixes := make([]netip.Prefix, len(sizes))
	for i, bits := range sizes {
		prefixes[i], _ = address.Prefix(bits) // they are never too long
	}
	return prefixes
}

// weightOf is how many times as much as an address the network at a place of prefixesOf may have: a /56 is one
// household, a /48 may be a provider's village, a /24 some addresses that many people share.
func weightOf(place, networks int) int {
	if networks == 2 && place == 1 {
		return heaviest
	}
	return 1 << place
}

// networksOf are the networks of an address with their parts, the smallest first.
func networksOf(address netip.Addr) []network {
	prefixes := prefixesOf(address)
	parts := []int{4, 5}
	if len(prefixes) == 3 {
		parts = []int{2, 3, 4}
	}
	networks := make([]network, len(prefixes))
	for i, prefix := range prefixes {
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
