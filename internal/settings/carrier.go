package settings

import (
	"errors"
	"fmt"
	"strings"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
	"apquic/lease"
)

// The forms of Elastos Carrier, whose Active Proxy this succeeds: a list of services, each with a
// configuration.

const (
	wantPrivateKey    = "128 hexadecimal digits; without the key, one is made in the data directory"
	wantConfiguration = "the settings of the service in {...}"
	wantClass         = `"elastos.carrier.service.activeproxy.ActiveProxy"`
	wantName          = `"ActiveProxy"`
)

// isCarrier distinguishes the forms: only Carrier's has lists at the top level, and any key that only the
// plain form has makes it that.
func isCarrier(root jsonc.Value, plain, carrier jsonc.Form) bool {
	lists := 0
	for key, member := range root.All() {
		_, inPlain := plain[key]
		_, inCarrier := carrier[key]
		if inPlain && !inCarrier {
			return false
		}
		if inCarrier && member.Kind() == '[' {
			lists++
		}
	}
	return lists > 0
}

// carrierServer is Elastos Carrier's form of a server's file.
func carrierServer(s *Server) jsonc.Form {
	services := jsonc.Field{Want: `a list such as [{"class": "...ActiveProxy", "configuration": {...}}]`, Set: carrierServerServices(s)}
	return withDiscovery(without(s.rows().form(), "listen", "range"), services, &s.Carrier)
}

// carrierNode is Elastos Carrier's form of a node's file.
func carrierNode(n *Node) jsonc.Form {
	services := jsonc.Field{Want: `a list such as [{"name": "ActiveProxy", "configuration": {...}}]`, Set: carrierNodeServices(n)}
	return withDiscovery(without(n.rows().form(), "server"), services, &n.Carrier)
}

func without(f jsonc.Form, keys ...string) jsonc.Form {
	for _, key := range keys {
		delete(f, key)
	}
	return f
}

// item is one element of services.
type item struct {
	right         bool // the class or name is a known one
	configuration jsonc.Value
}

// carrierItem is an element of services: the key kind says what it is, and must have a known value.
func carrierItem(kind string, known jsonc.Field, i *item) jsonc.Form {
	return jsonc.Form{
		kind: {Required: true, Want: known.Want, Set: func(v jsonc.Value) error {
			err := known.Set(v)
			i.right = err == nil
			return err
		}},
		"configuration": {Required: true, Want: wantConfiguration, Set: func(v jsonc.Value) error {
			i.configuration = v
			return nil
		}},
	}
}

// carrierItems visits the configurations of the known services.
func carrierItems(v jsonc.Value, kind string, known jsonc.Field, visit func(configuration jsonc.Value)) error {
	return v.Elements(func(v jsonc.Value) {
		var i item
		v.Apply(jsonc.Field{Want: "{" + kind + ", configuration}", Set: func(v jsonc.Value) error {
			return v.Decode(carrierItem(kind, known, &i))
		}})
		if i.right && i.configuration != (jsonc.Value{}) {
			visit(i.configuration)
		}
	})
}

// activeProxy is the class or name of the only known service.
func activeProxy(want string, isOne func(string) bool) jsonc.Field {
	return jsonc.Field{Want: want, Set: func(v jsonc.Value) error {
		s, err := v.Text()
		if err == nil && !isOne(s) {
			err = fmt.Errorf("%s is not supported", hint.Readable(s))
		}
		return err
	}}
}

func isActiveProxyClass(s string) bool {
	return s == "ActiveProxy" || strings.HasSuffix(s, ".ActiveProxy")
}
func isActiveProxyName(s string) bool { return s == "ActiveProxy" }

func carrierServerServices(s *Server) func(jsonc.Value) error {
	return func(v jsonc.Value) error {
		first := ""
		return carrierItems(v, "class", activeProxy(wantClass, isActiveProxyClass), func(v jsonc.Value) {
			if first != "" {
				v.Report(fmt.Errorf("a server has one ActiveProxy, which is %s: give a second server its own file and data directory", first))
				return
			}
			first = v.Key()
			v.Apply(jsonc.Field{Want: wantConfiguration, Set: func(v jsonc.Value) error { return v.Decode(carrierProxy(s)) }})
		})
	}
}

// carrierProxy is the configuration of a server's ActiveProxy.
func carrierProxy(s *Server) jsonc.Form {
	return jsonc.Form{
		"port": {Want: "the UDP port for nodes, such as 8090", Set: func(v jsonc.Value) error {
			number, err := port(v)
			if err == nil {
				s.Listen = joinPort("", number)
			}
			return err
		}},
		"portMappingRange": {Want: `public ports such as "20000-22000"`, Set: jsonc.Into(&s.Range, jsonc.Parsed(lease.ParsePortRange))},
		"peerPrivateKey":   {Want: wantPrivateKey, Set: jsonc.Into(&s.Key, jsonc.Parsed(certs.ParsePrivateKey))},
	}
}

func carrierNodeServices(n *Node) func(jsonc.Value) error {
	return func(v jsonc.Value) error {
		n.Server, n.Services = certs.Invitation{}, nil
		return carrierItems(v, "name", activeProxy(wantName, isActiveProxyName), func(v jsonc.Value) {
			var client carrierClient
			if !v.Apply(jsonc.Field{Want: wantConfiguration, Set: func(v jsonc.Value) error { return v.Decode(client.form()) }}) {
				return
			}
			if err := client.addTo(n); err != nil {
				v.Report(err)
			}
		})
	}
}

// carrierClient is the configuration of a node's ActiveProxy.
type carrierClient struct {
	server       certs.Invitation
	upstreamHost string
	upstreamPort uint16
	key          certs.PrivateKey
}

func (c *carrierClient) form() jsonc.Form {
	id := jsonc.Field{Want: "the id of the server, which the command `apquic-server id` prints", Set: jsonc.Into(&c.server.Server, jsonc.Parsed(certs.ParseNodeID)), Required: true}
	f := jsonc.Form{
		"serverId":       id,
		"serverHost":     {Want: `the server's name or IP address, such as "203.0.113.5"`, Set: jsonc.Into(&c.server.Host, host), Required: true},
		"serverPort":     {Want: "the server's UDP port, such as 8090", Set: jsonc.Into(&c.server.Port, port), Required: true},
		"upstreamHost":   {Want: `the name or IP address of the service to make public, such as "192.168.1.101"`, Set: jsonc.Into(&c.upstreamHost, jsonc.Parsed(address.ParseHostWithZone)), Required: true},
		"upstreamPort":   {Want: "the TCP port of the service to make public, such as 80", Set: jsonc.Into(&c.upstreamPort, port), Required: true},
		"peerPrivateKey": {Want: wantPrivateKey, Set: jsonc.Into(&c.key, jsonc.Parsed(certs.ParsePrivateKey))},
	}
	id.Same, id.Required = "serverId", false
	f["serverPeerId"] = id
	return f
}

// addTo adds c to n as a service.
func (c *carrierClient) addTo(n *Node) error {
	name := "activeproxy"
	if count := len(n.Services); count > 0 {
		name = fmt.Sprintf("%s-%d", name, count+1)
		if n.Server.String() != c.server.String() {
			return fmt.Errorf("this server differs from %v: start a second node with its own file and data directory", n.Server)
		}
		if n.Key.ID() != c.key.ID() {
			return errors.New("peerPrivateKey differs from the one before: a node has one key")
		}
	}
	upstream, err := address.ParseUpstream(joinPort(c.upstreamHost, c.upstreamPort))
	if err != nil {
		return err
	}
	n.Server, n.Key = c.server, c.key
	n.Services = append(n.Services, Service{Name: name, Upstream: upstream})
	return nil
}
