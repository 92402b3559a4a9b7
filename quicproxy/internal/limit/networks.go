package limit

import "net/netip"

// network is a network that contains an address, and the part of a resource that the network may have.
type network struct {
	prefix netip.Prefix
	part   int // in eighths
}

// prefixesOf returns the networks of an address, smallest first: in IPv6 whoever has one address has a /64,
// and often a /56 or a /48; in IPv4 somebody may have a /24. An invalid address has the zero prefix.
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
		prefixes[i], _ = address.Prefix(bits) // bits is never too large
	}
	return prefixes
}

// weightOf is how many times an address's share the network at a place of prefixesOf may have: a /56 is one
// household, a /48 may be a provider's village, a /24 some addresses that many people share.
func weightOf(place, networks int) int {
	if networks == 2 && place == 1 {
		return heaviest
	}
	return 1 << place
}

// networksOf returns the networks of an address with their parts, smallest first.
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

// add gives a network more, or takes some back, without checking any limit.
func (s *networkShares) add(address netip.Addr, amount int64) {
	s.total += amount
	for _, n := range networksOf(address) {
		if s.of[n.prefix] += amount; s.of[n.prefix] == 0 {
			delete(s.of, n.prefix)
		}
	}
}

// full returns the smallest network of an address that would have too much with amount more; ok: none. The
// zero prefix stands for all addresses. A quarter is reserved for known addresses; of their networks only the
// smallest counts, so that no neighbour takes their share.
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
