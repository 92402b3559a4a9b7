package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

const wantNetworks = `networks such as "192.0.2.0/24", or single addresses`

// networksVar is a list of networks, none by default.
func networksVar(field *[]netip.Prefix) setting {
	return kind[[]netip.Prefix]{
		name: "list of networks", flag: "networks", want: "a list of " + wantNetworks,
		read: networks, parse: parseNetworks, show: formatNetworks,
	}.bind(field, nil)
}

// networks reads ["192.0.2.0/24", "2001:db8::1"], or one of them.
func networks(v jsonc.Value) (all []netip.Prefix, err error) {
	one := jsonc.Parsed(parseNetwork)
	if v.Kind() == '"' {
		network, err := one(v)
		return []netip.Prefix{network}, err
	}
	err = v.Elements(func(element jsonc.Value) {
		element.Apply(jsonc.Field{Want: wantNetworks, Set: func(v jsonc.Value) error {
			network, err := one(v)
			all = append(all, network)
			return err
		}})
	})
	return all, err
}

func parseNetworks(s string) (all []netip.Prefix, err error) {
	for text := range strings.SplitSeq(s, ",") {
		network, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, network)
	}
	return all, nil
}

// parseNetwork reads a network, or an address, which is a network of its own.
func parseNetwork(s string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%s is not a network; want %s", hint.Readable(s), wantNetworks)
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 network is written without ::ffff: before it")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%s is an address in a network, did you mean %v?", hint.Readable(s), network.Masked())
	}
	return network, nil
}

func formatNetworks(all []netip.Prefix) string {
	texts := make([]string, len(all))
	for i, network := range all {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}
