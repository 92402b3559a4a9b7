package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/size"
	"apquic/quicproxy"
)

// maxNetworks is how many networks a service may name in a list. A server may name more.
const maxNetworks, maxServerNetworks = 64, 1024

// visitorRows are the settings that say who may visit all services of a server.
func (s *Server) visitorRows() rows {
	return rows{
		{
			key: "allowClients", setting: networks().bind(&s.Visitors.Allow), unset: "all",
			help: "`NETWORKS` whose clients may connect to any service, with commas",
			docs: "What a service says of its own (`allow`) must hold, too. Clients from elsewhere are reset, and counted in `status`.",
		}, {
			key: "denyClients", setting: networks().bind(&s.Visitors.Deny), unset: "none",
			help: "`NETWORKS` whose clients may not",
			docs: "It goes before `allowClients`.",
		}, {
			key: "countries", setting: textVar(&s.Countries, "", nil), unset: "none: countries are not known",
			want: `the path of a database of countries, such as "/var/lib/GeoIP/GeoLite2-Country.mmdb"`,
			help: "`FILE` that tells the countries of addresses, in the MaxMind DB format",
			docs: ", such as GeoLite2-Country or DB-IP Country Lite, which you get and renew yourself. It is kept in memory, and read again within 10 s when it has changed, or at SIGHUP. Services may then have rules about countries.",
		}, {
			key: "allowCountries", setting: countries().bind(&s.Visitors.AllowCountries), unset: "all",
			help: "`COUNTRIES` whose clients may connect to any service, with commas",
			docs: "ISO 3166-1 alpha-2 codes, such as `[\"DE\", \"AT\"]`; needs `countries`. An address of no country, such as a private one, may then not connect.",
		}, {
			key: "denyCountries", setting: countries().bind(&s.Visitors.DenyCountries), unset: "none",
			help: "`COUNTRIES` whose clients may not", docs: "It needs `countries`.",
		}, {
			key: "maxClientRate", setting: numberVar(&s.Visitors.Rate, 0, 0, million),
			help: "how many new connections per second an address may make to a service; 0: no limit",
			docs: ", or one /64 in IPv6; twice as many at once. A /56 may make twice as many, a /48 or an IPv4 /24 four times as many.",
		}, {
			key: "maxRateIn", setting: rateVar(&s.Visitors.BytesIn), unset: "no limit",
			help: "bytes per second from all clients of a service together: a `SIZE` such as 1MB",
			docs: "Its connections share them equally; those that have less to say do not wait for the others.",
		}, {
			key: "maxRateOut", setting: rateVar(&s.Visitors.BytesOut), unset: "no limit",
			help: "bytes per second to all clients of a service together: a `SIZE` such as 1MB",
		}, {
			key: "logins", setting: loginsVar(&s.Logins), unset: "none",
			help: "what visitors must show, by the name that they come for, where the server ends HTTP: `JSON` as in a file",
			docs: "For a name, for one level of names such as `*.home.example.org`, or for all (`*`), an object with `password`, `clientCA` or `oidc`, as [services have](#login); the closest name counts. What the service itself demands must hold, too. Services at such names must leave HTTP to the server (`\"tls\": \"terminate\"`); others are refused, and the ports beside [names of the server's own](#names-of-the-servers-own) are closed to visitors. Needs `certificates` or `acme`. See [howto/login.md](howto/login.md#at-the-server).",
		},
	}
}

// visitorFaults says what is wrong with them together.
func (s *Server) visitorFaults() (found faults) {
	networks := func(key string, all []netip.Prefix) {
		if len(all) > maxServerNetworks {
			found.add(fmt.Errorf("there are %d networks, of %d at most", len(all), maxServerNetworks), key)
		}
	}
	countries := func(key string, all []string) {
		if len(all) > 0 && s.Countries == "" {
			found.add(hint.Add(errors.New("the countries of addresses are not known"),
				"name a database of them with countries, such as GeoLite2-Country.mmdb"), key, "countries")
		}
	}
	if len(s.Logins) > 0 && s.Certificates == "" && !s.ACME {
		found.add(hint.Add(errors.New("the server ends no HTTP, so it cannot ask visitors"), "give it certificates, by certificates or acme"), "logins", "certificates", "acme")
	}
	networks("allowClients", s.Visitors.Allow)
	networks("denyClients", s.Visitors.Deny)
	countries("allowCountries", s.Visitors.AllowCountries)
	countries("denyCountries", s.Visitors.DenyCountries)
	return found
}

// visitorKeys are the keys of a service that say who may visit it.
func visitorKeys(v *quicproxy.Visitors) jsonc.Form {
	number := func(field *int) jsonc.Field {
		return jsonc.Field{Want: "a number from 0, which is no limit, to a million", Set: jsonc.Into(field, jsonc.Whole(0, million))}
	}
	rate := func(field *int64) jsonc.Field {
		return jsonc.Field{Want: size.WantRate, Set: jsonc.Into(field, jsonc.Parsed(size.ParseRate))}
	}
	return jsonc.Form{
		"allow":                networks().into(&v.Allow),
		"deny":                 networks().into(&v.Deny),
		"allowCountries":       countries().into(&v.AllowCountries),
		"denyCountries":        countries().into(&v.DenyCountries),
		"maxClientsPerAddress": number(&v.PerAddress),
		"maxClientRate":        number(&v.Rate),
		"maxRateIn":            rate(&v.BytesIn),
		"maxRateOut":           rate(&v.BytesOut),
	}
}

// visitorFault returns what is wrong with the rules of a service as a whole.
func visitorFault(v quicproxy.Visitors) error {
	for _, n := range []int{len(v.Allow), len(v.Deny)} {
		if n > maxNetworks {
			return hint.Add(fmt.Errorf("a service has %d networks in a list, of %d at most", n, maxNetworks),
				"name larger networks, or ask the server's operator to deny them for all services (denyClients)")
		}
	}
	return nil
}

// describeVisitors says who may visit, to follow the address of a service.
func describeVisitors(v quicproxy.Visitors) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if len(v.Allow) > 0 {
		add("only for visitors from %s", networks().format(v.Allow))
	}
	if len(v.Deny) > 0 {
		add("not for visitors from %s", networks().format(v.Deny))
	}
	if len(v.AllowCountries) > 0 {
		add("only for visitors in %s", strings.Join(v.AllowCountries, ","))
	}
	if len(v.DenyCountries) > 0 {
		add("not for visitors in %s", strings.Join(v.DenyCountries, ","))
	}
	if v.PerAddress > 0 {
		add("with %d connections per address at once", v.PerAddress)
	}
	if v.Rate > 0 {
		add("with %d new connections per address and second", v.Rate)
	}
	if v.BytesIn > 0 {
		add("with %v/s from visitors", Size(v.BytesIn))
	}
	if v.BytesOut > 0 {
		add("with %v/s to visitors", Size(v.BytesOut))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

// rateVar is a number of bytes per second; 0: no limit.
func rateVar(field *int64) setting {
	return kind[int64]{
		name: fmt.Sprintf("size, at least %v", Size(size.LeastRate)), flag: "size", want: size.WantRate,
		read: jsonc.Parsed(size.ParseRate), parse: size.ParseRate, show: func(n int64) string { return Size(n).String() },
	}.bind(field, 0)
}
