package address

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"apquic/internal/hint"
)

// WantNetworks and WantCountries are what [ParseNetwork] and [ParseCountry] read, for people.
const (
	WantNetworks  = `networks such as "192.0.2.0/24", or single addresses`
	WantCountries = `codes of countries such as "DE", two letters each`
)

// ParseNetwork reads a network, or an address, which is a network of its own.
func ParseNetwork(s string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%s is not a network; want %s", hint.Readable(s), WantNetworks)
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 network is written without ::ffff: before it")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%s is an address in a network, did you mean %v?", hint.Readable(s), network.Masked())
	}
	return network, nil
}

// ParseCountry reads the code of a country. Codes that nobody has been given are no mistake: others are added.
func ParseCountry(s string) (string, error) {
	code := strings.ToUpper(s)
	if slices.Contains([]string{"UK", "EN"}, code) {
		return "", fmt.Errorf("%s is not the code of a country, did you mean GB?", hint.Readable(s))
	}
	if len(code) != 2 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", fmt.Errorf("%s is not the code of a country; want %s", hint.Readable(s), WantCountries)
	}
	return code, nil
}
