package settings

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
	"apquic/quicproxy"
)

// Service is something that a node makes public.
type Service struct {
	Name       string // see framing.CheckServiceName
	Upstream   string // origin URI, see framing.ParseOrigin
	PublicPort uint16 // wanted; 0: any
	Site
	Login
	quicproxy.Visitors          // who may visit it
	Private            bool     // neither port nor domain: only other nodes connect
	AllowNodes         []string // which ones, by name or id

	Host          string         // that an http:// or https:// upstream is asked for; empty: what the visitor asks for
	CA, Pin       string         // how an https:// upstream proves that it is the right one; empty: by the system's authorities
	Listing       bool           // a file: upstream without index.html shows what is in it
	Networks      []netip.Prefix // where a socks5: upstream leads
	Group         string         // that it is one of, as the server's settings name it; empty: none
	Health        string         // how it is checked: tcp, or a path; empty: not at all
	Canary        time.Duration  // how often the server asks it; 0: never
	ProxyProtocol int            // version of the header that tells the upstream its client's address; 0: none
}

const wantUpstream = `the address of the service, such as "127.0.0.1:80" or "unix:/run/app.sock"`

// servicesVar is the services of a node. Flags replace those in a file.
func servicesVar(field *[]Service) setting {
	var flags []Service
	return kind[[]Service]{
		name: "object", flag: "service",
		read: readServices, show: func([]Service) string { return "" },
		parse: func(s string) ([]Service, error) {
			one, err := parseService(s)
			if err != nil {
				return nil, err
			}
			flags = append(flags, one)
			return nameServices(flags), nil
		},
		lines: describeServices,
	}.bind(field, nil)
}

func describeServices(services []Service) (all []line) {
	for _, s := range services {
		where := s.Upstream + " at any public port"
		if s.PublicPort != 0 {
			where = fmt.Sprintf("%s at public port %d if it is free", s.Upstream, s.PublicPort)
		}
		if s.Domain != "" {
			where = s.Upstream
		}
		if s.Private {
			where = s.Upstream + s.describeAccess()
		}
		all = append(all, line{Unseen: fmt.Sprintf("%+v", s), Key: "." + hint.Readable(s.Name), Value: where + s.describeSite() + s.describeGroup() + describeOptions(s) + describeVisitors(s.Visitors) + s.Login.Describe()})
	}
	return all
}

// readServices reads {"NAME": "UPSTREAM" or {...}, ...}.
func readServices(v jsonc.Value) (all []Service, err error) {
	err = v.Members(func(name string, at, member jsonc.Value) {
		service := portService{Service: Service{Name: name}}
		if err := framing.CheckServiceName(name); err != nil {
			at.Report(err)
			return
		}
		if member.Apply(jsonc.Field{Want: wantUpstream, Set: func(v jsonc.Value) error { return plainUpstream(v, &service) }}) {
			all = append(all, service.all()...)
		}
	})
	return all, err
}

// plainUpstream reads "UPSTREAM" or {"upstream": "UPSTREAM", "publicPort": 20022, ...}.
func plainUpstream(v jsonc.Value, s *portService) error {
	if v.Kind() != '{' {
		return jsonc.Into(&s.Upstream, jsonc.Parsed(address.ParseUpstream))(v)
	}
	for name := range v.All() {
		s.ranged = s.ranged || name == "ports"
	}
	return v.Decode(plainService(s))
}

// plainService is the long form of a service.
func plainService(s *portService) jsonc.Form {
	f := jsonc.Form{
		"upstream":   {Want: wantUpstream, Set: jsonc.Into(&s.Upstream, jsonc.Parsed(address.ParseUpstream)), Required: true},
		"publicPort": {Want: "a port from 1 to 65535 in the server's range", Set: jsonc.Into(&s.PublicPort, port)},
		"ports":      {Want: `the ports of the service, such as "30000-30010"`, Set: jsonc.Into(&s.ports, jsonc.Parsed(parseServicePorts))},
	}
	if s.ranged {
		f["upstream"] = jsonc.Field{Want: address.WantUpstreamHost, Set: jsonc.Into(&s.Upstream, jsonc.Parsed(address.ParseUpstreamHost)), Required: true}
		f["publicPort"] = jsonc.Field{
			Want: "no publicPort: each of the ports is its own", Set: func(jsonc.Value) error { return errors.New("there are ports") },
		}
	}
	maps.Copy(f, upstreamOptions(&s.Service))
	maps.Copy(f, s.Site.keys())
	maps.Copy(f, s.Login.Keys())
	maps.Copy(f, nodeKeys(&s.Service))
	maps.Copy(f, groupKeys(&s.Service))
	maps.Copy(f, visitorKeys(&s.Visitors))
	return f
}

// parseService reads the value of --upstream: host:port, unix:/path or only a port, which is one of this
// machine, optionally after name=. A missing name is left empty for [nameServices].
func parseService(s string) (Service, error) {
	var service Service
	upstream := s
	// A path may also contain =, but then a : or a / comes before it.
	if name, rest, found := strings.Cut(s, "="); found && !strings.ContainsAny(name, ":/") {
		if err := framing.CheckServiceName(name); err != nil {
			if lower := strings.ToLower(name); framing.CheckServiceName(lower) == nil {
				err = fmt.Errorf("%w; did you mean %s=%s?", err, lower, rest)
			}
			return Service{}, err
		}
		service.Name, upstream = name, rest
	}
	uri, err := address.ParseUpstream(upstream)
	if err != nil {
		return Service{}, err
	}
	service.Upstream = uri
	return service, nil
}

// nameServices returns services with names for those that have none: web, then web-2, web-3 and so on, except
// those that are taken. The server knows a service by its name: other names get other ports.
func nameServices(services []Service) []Service {
	taken := map[string]bool{}
	for _, s := range services {
		taken[s.Name] = true
	}
	named := slices.Clone(services)
	for i := range named {
		if named[i].Name == "" {
			named[i].Name = freeName(taken)
			taken[named[i].Name] = true
		}
	}
	return named
}

func freeName(taken map[string]bool) string {
	name := "web"
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("web-%d", n)
	}
	return name
}
