package settings

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// groupKeys are those of a service that others may offer, too.
func groupKeys(s *Service) jsonc.Form {
	return jsonc.Form{
		"group": {Want: "the name of a group in the server's settings", Set: jsonc.Into(&s.Group, jsonc.Parsed(func(name string) (string, error) {
			return name, framing.CheckServiceName(name)
		}))},
		"canary": {Want: address.WantCanary, Set: jsonc.Into(&s.Canary, jsonc.Value.Duration)},
		"health": {Want: address.WantHealth, Set: jsonc.Into(&s.Health, jsonc.Parsed(address.ParseHealth))},
	}
}

// groupFault returns what is wrong with a service as one of a group, or as one that is checked.
func (s Service) groupFault() error {
	network, _, _ := framing.ParseOrigin(s.Upstream)
	switch {
	case s.Health != "" && slices.Contains([]string{"udp", "socks5"}, network):
		return errors.New("health is for a service to which one can connect over TCP")
	case s.Canary != 0 && (s.Canary < address.LeastCanary || s.Canary > address.MostCanary || s.Canary%time.Second != 0):
		return fmt.Errorf("canary is %v; want %s, in whole seconds", s.Canary, address.WantCanary)
	case s.Canary != 0 && network == "socks5":
		return errors.New("canary is for a service to which one can connect; behind socks5: each client says where it wants to go, so that there is nothing to ask")
	case s.Canary != 0 && network == "udp":
		return errors.New("canary is for a service to which one can connect over TCP: over UDP nobody answers without being asked something")
	case s.Group != "" && s.Domain == "" && s.TLS != "":
		return hint.Add(errors.New("a group has no name below the server's own domain: those are of one node each"), "give it a domain, or leave out tls")
	case s.Group != "" && describeVisitors(s.Visitors) != "":
		return hint.Add(errors.New("who may visit a group is for the server to say"), "remove the rules for visitors from the service; the server's settings have the same")
	case s.Group != "" && s.EndsTLS() && s.Certificate == "":
		return hint.Add(errors.New("the nodes of a group cannot each get a certificate by ACME: the authority may reach another one of them"), "give each the same certificate in certificate and key; or leave TLS to the upstream with tls \"pass\", or to the server with tls \"terminate\"")
	}
	return nil
}

// describeGroup says what the service has in common with those of other nodes, to follow where it is.
func (s Service) describeGroup() (text string) {
	if s.Group != "" {
		text = ", in the group " + s.Group
	}
	return text + address.DescribeHealth(s.Health, s.Canary)
}
