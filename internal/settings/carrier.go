package settings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"

	"apquic/certs"
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
func (v value) isCarrier(plain, carrier form) bool {
	object, ok := v.node.Value.(*hujson.Object)
	if !ok {
		return false
	}
	lists := 0
	for _, member := range object.Members {
		key := member.Name.Value.(hujson.Literal).String()
		_, inPlain := plain[key]
		_, inCarrier := carrier[key]
		if inPlain && !inCarrier {
			return false
		}
		if inCarrier && member.Value.Value.Kind() == '[' {
			lists++
		}
	}
	return lists > 0
}

// carrierServer is Elastos Carrier's form of a server's file.
func carrierServer(s *Server) form {
	services := field{want: `a list such as [{"class": "...ActiveProxy", "configuration": {...}}]`, set: carrierServerServices(s)}
	return withDiscovery(without(s.rows().form(), "listen", "range"), services, &s.Carrier)
}

// carrierNode is Elastos Carrier's form of a node's file.
func carrierNode(n *Node) form {
	services := field{want: `a list such as [{"name": "ActiveProxy", "configuration": {...}}]`, set: carrierNodeServices(n)}
	return withDiscovery(without(n.rows().form(), "server"), services, &n.Carrier)
}

func without(f form, keys ...string) form {
	for _, key := range keys {
		delete(f, key)
	}
	return f
}

// item is one element of services.
type item struct {
	right         bool // the class or name is a known one
	configuration value
}

// carrierItem is an element of services: the key kind says what it is, and must have a known value.
func carrierItem(kind string, known field, i *item) form {
	return form{
		kind: {required: true, want: known.want, set: func(v value) error {
			err := known.set(v)
			i.right = err == nil
			return err
		}},
		"configuration": {required: true, want: wantConfiguration, set: func(v value) error {
			i.configuration = v
			return nil
		}},
	}
}

// carrierItems visits the configurations of the known services.
func carrierItems(v value, kind string, known field, visit func(configuration value)) error {
	return v.elements(func(v value) {
		var i item
		v.apply(field{want: "{" + kind + ", configuration}", set: func(v value) error {
			return v.decode(carrierItem(kind, known, &i))
		}})
		if i.right && i.configuration.node != nil {
			visit(i.configuration)
		}
	})
}

// activeProxy is the class or name of the only known service.
func activeProxy(want string, isOne func(string) bool) field {
	return field{want: want, set: func(v value) error {
		s, err := text(v)
		if err == nil && !isOne(s) {
			err = fmt.Errorf("%s is not supported", readable(s))
		}
		return err
	}}
}

func isActiveProxyClass(s string) bool {
	return s == "ActiveProxy" || strings.HasSuffix(s, ".ActiveProxy")
}
func isActiveProxyName(s string) bool { return s == "ActiveProxy" }

func carrierServerServices(s *Server) func(value) error {
	return func(v value) error {
		first := ""
		return carrierItems(v, "class", activeProxy(wantClass, isActiveProxyClass), func(v value) {
			if first != "" {
				v.report(fmt.Errorf("a server has one ActiveProxy, which is %s: give a second server its own file and data directory", first))
				return
			}
			first = v.key
			v.apply(field{want: wantConfiguration, set: func(v value) error { return v.decode(carrierProxy(s)) }})
		})
	}
}

// carrierProxy is the configuration of a server's ActiveProxy.
func carrierProxy(s *Server) form {
	return form{
		"port": {want: "the UDP port for nodes, such as 8090", set: func(v value) error {
			number, err := port(v)
			if err == nil {
				s.Listen = joinPort("", number)
			}
			return err
		}},
		"portMappingRange": {want: `public ports such as "20000-22000"`, set: into(&s.Range, parsed(lease.ParsePortRange))},
		"peerPrivateKey":   {want: wantPrivateKey, set: into(&s.Key, parsed(certs.ParsePrivateKey))},
	}
}

func carrierNodeServices(n *Node) func(value) error {
	return func(v value) error {
		n.Server, n.Services = certs.Invitation{}, nil
		return carrierItems(v, "name", activeProxy(wantName, isActiveProxyName), func(v value) {
			client, before := carrierClient{}, v.mistakes
			v.apply(field{want: wantConfiguration, set: func(v value) error { return v.decode(client.form()) }})
			if v.mistakes > before {
				return
			}
			if err := client.addTo(n); err != nil {
				v.report(err)
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

func (c *carrierClient) form() form {
	id := field{want: "the id of the server, which the command `apquic-server id` prints", set: into(&c.server.Server, parsed(certs.ParseNodeID)), required: true}
	f := form{
		"serverId":       id,
		"serverHost":     {want: `the server's name or IP address, such as "203.0.113.5"`, set: into(&c.server.Host, host), required: true},
		"serverPort":     {want: "the server's UDP port, such as 8090", set: into(&c.server.Port, port), required: true},
		"upstreamHost":   {want: `the name or IP address of the service to make public, such as "192.168.1.101"`, set: into(&c.upstreamHost, upstreamHost), required: true},
		"upstreamPort":   {want: "the TCP port of the service to make public, such as 80", set: into(&c.upstreamPort, port), required: true},
		"peerPrivateKey": {want: wantPrivateKey, set: into(&c.key, parsed(certs.ParsePrivateKey))},
	}
	id.same, id.required = "serverId", false
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
	upstream, err := parseUpstream(joinPort(c.upstreamHost, c.upstreamPort))
	if err != nil {
		return err
	}
	n.Server, n.Key = c.server, c.key
	n.Services = append(n.Services, Service{Name: name, Upstream: upstream})
	return nil
}
