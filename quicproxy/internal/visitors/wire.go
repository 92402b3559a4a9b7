package visitors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"apquic/framing"
	"apquic/quicproxy"

	"google.golang.org/protobuf/proto"
)

const (
	// maxNetworks and maxCountries bound each list of a service.
	maxNetworks, maxCountries = 64, 256
	// maxNetworkText is the length of the longest network.
	maxNetworkText = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128")
	// maxCount bounds connections and connections per second.
	maxCount = 1_000_000
	// minBytes and maxBytes bound bytes per second.
	minBytes, maxBytes = 1 << 10, 1 << 40
)

// Check returns what is wrong with rules, except that there may be too many networks for a service.
func Check(v quicproxy.Visitors) error {
	for _, network := range slices.Concat(v.Allow, v.Deny) {
		if !network.IsValid() || network != network.Masked() || network.Addr().Is4In6() {
			return fmt.Errorf("%v is not a network in its one form", network)
		}
	}
	for _, countries := range [][]string{v.AllowCountries, v.DenyCountries} {
		if len(countries) > maxCountries {
			return fmt.Errorf("there are %d countries, of %d at most", len(countries), maxCountries)
		}
		if i := slices.IndexFunc(countries, func(c string) bool { return !isCountry(c) }); i >= 0 {
			return fmt.Errorf("%.10q is not the code of a country, two capital letters", countries[i])
		}
	}
	for _, n := range []int{v.PerAddress, v.Rate} {
		if n < 0 || n > maxCount {
			return fmt.Errorf("%d connections are not from 1 to %d", n, maxCount)
		}
	}
	for _, n := range []int64{v.BytesIn, v.BytesOut} {
		if n != 0 && (n < minBytes || n > maxBytes) {
			return fmt.Errorf("%d bytes per second are not from %d to %d", n, minBytes, int64(maxBytes))
		}
	}
	return nil
}

func isCountry(code string) bool {
	return len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z'
}

// NeedsCountries reports whether rules need to know the countries of addresses.
func NeedsCountries(v quicproxy.Visitors) bool { return len(v.AllowCountries)+len(v.DenyCountries) > 0 }

// Read reads the rules in a ProxyRequest; nil: there are none. Nothing is allocated for lists that are too long.
func Read(m *framing.VisitorRules) (v quicproxy.Visitors, err error) {
	if m == nil {
		return v, nil
	}
	if m.ClientsPerAddress > maxCount || m.ClientRate > maxCount || m.BytesIn > math.MaxInt64 || m.BytesOut > math.MaxInt64 {
		return v, errors.New("a number in the rules for visitors is too large")
	}
	v = quicproxy.Visitors{
		AllowCountries: m.AllowCountries, DenyCountries: m.DenyCountries,
		PerAddress: int(m.ClientsPerAddress), Rate: int(m.ClientRate), BytesIn: int64(m.BytesIn), BytesOut: int64(m.BytesOut),
	}
	if v.Allow, err = readNetworks(m.Allow); err == nil {
		v.Deny, err = readNetworks(m.Deny)
	}
	if err == nil {
		err = Check(v)
	}
	if err != nil {
		return quicproxy.Visitors{}, err
	}
	return v, nil
}

func readNetworks(texts []string) ([]netip.Prefix, error) {
	if len(texts) > maxNetworks {
		return nil, fmt.Errorf("there are %d networks, of %d at most", len(texts), maxNetworks)
	}
	networks := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		if len(text) > maxNetworkText {
			return nil, fmt.Errorf("a network of %d bytes is none", len(text))
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network", text)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// Message is how rules travel in a ProxyRequest; nil: there are none.
func Message(v quicproxy.Visitors) *framing.VisitorRules {
	m := &framing.VisitorRules{
		Allow: texts(v.Allow), Deny: texts(v.Deny), AllowCountries: v.AllowCountries, DenyCountries: v.DenyCountries,
		ClientsPerAddress: uint32(v.PerAddress), ClientRate: uint32(v.Rate), BytesIn: uint64(v.BytesIn), BytesOut: uint64(v.BytesOut),
	}
	if len(m.Allow)+len(m.Deny)+len(m.AllowCountries)+len(m.DenyCountries) == 0 &&
		m.ClientsPerAddress == 0 && m.ClientRate == 0 && m.BytesIn == 0 && m.BytesOut == 0 {
		return nil
	}
	return m
}

// requester asks the server.
type requester interface {
	Request(ctx context.Context, op framing.Opcode, request proto.Message, answer framing.Opcode, response proto.Message) error
}

// Ask asks the server how many visitors of each service were refused; nil: it did not answer.
func Ask(ctx context.Context, control requester) map[string]quicproxy.Refused {
	m := new(framing.VisitorsResponse)
	if control.Request(ctx, framing.OpVisitorsRequest, new(framing.VisitorsRequest), framing.OpVisitorsResponse, m) != nil {
		return nil
	}
	return counts(m)
}

// counts reads how many visitors of each service were refused.
func counts(m *framing.VisitorsResponse) map[string]quicproxy.Refused {
	counts := make(map[string]quicproxy.Refused)
	for _, s := range m.Services {
		counts[s.Service] = quicproxy.Refused{
			Networks: s.Networks, Countries: s.Countries, Connections: s.Connections, Rate: s.Rate, Datagrams: s.Datagrams, Month: s.Month,
		}
	}
	return counts
}

// Counts is how many visitors of a service were refused, for its node; nil: nobody was.
func (g *Gate) Counts(service string) *framing.Refused {
	n := g.Refused()
	if n == (quicproxy.Refused{}) {
		return nil
	}
	return &framing.Refused{
		Service: service, Networks: n.Networks, Countries: n.Countries, Connections: n.Connections, Rate: n.Rate, Datagrams: n.Datagrams, Month: n.Month,
	}
}

func texts(networks []netip.Prefix) (all []string) {
	for _, network := range networks {
		all = append(all, network.String())
	}
	return all
}
