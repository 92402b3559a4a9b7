package config

import (
	"fmt"
	"slices"
	"strings"

	"apquic/framing"
)

// ParseService reads the value of --upstream: host:port, unix:/path or the port
// alone, which is one of this machine; name= may stand before it. Without a name it is left empty, for [NameServices].
func ParseService(s string) (Service, error) {
	var service Service
	upstream := s
	// A path may have a = too; in it, there is a : or a / before.
	if name, rest, found := strings.Cut(s, "="); found && !strings.ContainsAny(name, ":/") {
		if err := framing.CheckServiceName(name); err != nil {
			if lower := strings.ToLower(name); framing.CheckServiceName(lower) == nil {
				err = fmt.Errorf("%w; did you mean %s=%s?", err, lower, rest)
			}
			return Service{}, err
		}
		service.Name, upstream = name, rest
	}
	uri, err := parseUpstream(upstream)
	if err != nil {
		return Service{}, err
	}
	service.Upstream = uri
	return service, nil
}

// NameServices returns services with a name for those that have none: web,
// then web-2, web-3 and so on, without those that are taken. A name is what the
// server knows a service by: with other names it gets other ports.
func NameServices(services []Service) []Service {
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
