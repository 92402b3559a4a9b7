package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

const wantNodes = `names or ids of nodes, such as ["laptop"]`

// nodeKeys are those of a service that only other nodes reach.
func nodeKeys(s *Service) jsonc.Form {
	return jsonc.Form{
		"public": {Want: "true or false", Set: func(v jsonc.Value) error {
			public, err := v.Bool()
			s.Private = err == nil && !public
			return err
		}},
		"allowNodes": {Want: wantNodes, Set: jsonc.Into(&s.AllowNodes, nodes)},
	}
}

// nodes reads ["laptop", "586Z7H2vpX9qNhN2T4e9Utugie3ogjbxzGaMtM3E6HR5"].
func nodes(v jsonc.Value) (all []string, err error) {
	err = v.Elements(func(element jsonc.Value) {
		element.Apply(jsonc.Field{Want: wantNodes, Set: func(v jsonc.Value) error {
			node, err := jsonc.Parsed(address.ParseNode)(v)
			all = append(all, node)
			return err
		}})
	})
	return all, err
}

// ParseTarget reads NODE/SERVICE: a private service of another node.
func ParseTarget(s string) (node, service string, err error) {
	node, service, found := strings.Cut(s, "/")
	if !found {
		return "", "", fmt.Errorf("%s is not NODE/SERVICE, such as garage/ssh", hint.Readable(s))
	}
	if node, err = address.ParseNode(node); err != nil {
		return "", "", err
	}
	return node, service, framing.CheckServiceName(service)
}

// accessFault returns what is wrong with who may reach the service.
func (s Service) accessFault() error {
	switch {
	case !s.Private && len(s.AllowNodes) > 0:
		return hint.Add(errors.New("allowNodes is for a service that is not public"), `add "public": false, or remove allowNodes`)
	case s.Private && s.PublicPort != 0:
		return errors.New(`a service with "public": false has neither publicPort nor ports`)
	case s.Private && describeVisitors(s.Visitors) != "":
		return errors.New(`a service with "public": false has no visitors: allowNodes says who may connect`)
	case s.Private && s.Domain != "":
		return errors.New(`a service with "public": false has no domain`)
	case s.Private && s.TLS != "":
		return errors.New(`a service with "public": false has no name at the server: leave out tls`)
	case s.Private && strings.Contains(strings.Split(s.Upstream, ":")[0], "udp"):
		return errors.New(`a service with "public": false is reached over TCP only`)
	case len(s.AllowNodes) > framing.MaxAllowNodes:
		return fmt.Errorf("%d nodes are allowed, more than %d", len(s.AllowNodes), framing.MaxAllowNodes)
	}
	return nil
}

// describeAccess says who reaches a service that is not public, to follow its upstream; empty: it is public.
func (s Service) describeAccess() string {
	if !s.Private {
		return ""
	}
	who := "no node but this one"
	if len(s.AllowNodes) > 0 {
		who = "this node and " + strings.Join(slices.Clone(s.AllowNodes), ", ")
	}
	return fmt.Sprintf(", not public: %s may connect, with apquic-node connect NODE/%s", who, hint.Readable(s.Name))
}
