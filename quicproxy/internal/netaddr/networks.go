package netaddr

import "net/netip"

// MaxWeight is the greatest weight of a network.
const MaxWeight = 4

// Network is a network that contains an address.
type Network struct {
	Prefix netip.Prefix // zero for an invalid address
	// Weight is how many times the share of one address it may have: a /56 is one household, a /48 may be a
	// provider's village, a /24 some addresses that many people share.
	Weight int
	Part   int // what it may have of a resource of all, in eighths
}

// Networks returns the networks of an address, smallest first: in IPv6 whoever has one address has a /64, and
// often a /56 or a /48; in IPv4 somebody may have a /24.
func Networks(address netip.Addr) []Network {
	address = address.Unmap().WithZone("")
	sizes, networks := [...]int{32, 24, 0}, []Network{{Weight: 1, Part: 4}, {Weight: MaxWeight, Part: 5}}
	switch {
	case !address.IsValid():
		return networks[:1]
	case address.Is6():
		sizes = [...]int{64, 56, 48}
		networks = []Network{{Weight: 1, Part: 2}, {Weight: 2, Part: 3}, {Weight: MaxWeight, Part: 4}}
	}
	for i := range networks {
		networks[i].Prefix, _ = address.Prefix(sizes[i]) // a size is never too large
	}
	return networks
}

// Smallest is what one client can choose addresses from: a /64 in IPv6.
func Smallest(address netip.Addr) netip.Prefix { return Networks(address)[0].Prefix }

// Customer is what one customer of a provider can choose addresses from: a /48 in IPv6.
func Customer(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	prefix, _ := address.Prefix(48)
	return prefix.Addr()
}
