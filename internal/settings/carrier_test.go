package settings

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"apquic/certs"
)

func carrierFile(items ...string) []byte {
	return []byte("{\"services\": [\n" + strings.Join(items, ",\n") + "]}")
}

func nodeItem(id, host, more string) string {
	return fmt.Sprintf(`{"name": "ActiveProxy", "configuration": {"serverId": %q, "serverHost": %q, "serverPort": "8090",
		"upstreamHost": "::1", "upstreamPort": 22 %s}}`, id, host, more)
}

func TestCarrierNodeServices(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	item := nodeItem(serverID, "example.com", "")
	if err := ParseNode("n", carrierFile(item, item, item), &n); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"activeproxy", "activeproxy-2", "activeproxy-3"} {
		if want := (Service{Name: name, Upstream: "tcp://[::1]:22"}); !reflect.DeepEqual(n.Services[i], want) {
			t.Errorf("service %d is %+v, want %+v", i, n.Services[i], want)
		}
	}
}

func TestCarrierLaterSpellings(t *testing.T) {
	t.Parallel()
	key, err := certs.ParsePrivateKey(strings.Repeat("17", 32))
	if err != nil {
		t.Fatal(err)
	}
	file := string(carrierFile(nodeItem(serverID, "example.com", `, "peerPrivateKey": "`+strings.Repeat("17", 32)+`"`)))
	file = strings.NewReplacer("services", "addons", "serverId", "serverPeerId").Replace(file)
	file = strings.Replace(file, "{", `{"port": 39002, "keepalive": 20, `, 1)
	n := DefaultNode()
	if err := ParseNode("n", []byte(file), &n); err != nil {
		t.Fatal(err)
	}
	if n.Server.Server.String() != serverID || n.Key.ID() != key.ID() || n.DiscoveryPort != 39002 || n.Keepalive.Seconds() != 20 {
		t.Errorf("settings: %+v", n)
	}
}

func TestCarrierNodeMistakes(t *testing.T) {
	t.Parallel()
	item := nodeItem(serverID, "example.com", "")
	const configuration = "services[0].configuration"
	for name, test := range map[string]struct {
		file string
		want [][]string
	}{
		"another server": {
			string(carrierFile(item, nodeItem(serverID, "example.org", ""))),
			[][]string{{"n:4: services[1].configuration: this server differs", "example.com"}},
		},
		"another key": {
			string(carrierFile(item, nodeItem(serverID, "example.com", `, "peerPrivateKey": "`+strings.Repeat("17", 32)+`"`))),
			[][]string{{"n:4: services[1].configuration: peerPrivateKey differs"}},
		},
		"another service": {
			string(carrierFile(`{"name": "DHTProxy", "configuration": {"x": 1}}`)),
			[][]string{{"n:2: services[0].name: DHTProxy is not supported", `want "ActiveProxy"`}},
		},
		"nothing in it": {
			string(carrierFile(`{}`, `7`)),
			[][]string{{"n:2: services[0]: configuration is missing"}, {"n:2: services[0]: name is missing", `"ActiveProxy"`},
				{"n:3: services[1]: this is a number; want {name, configuration}"}},
		},
		"nothing configured": {
			string(carrierFile(`{"name": "ActiveProxy", "configuration": {"serverid": "x"}}`)),
			[][]string{{"n:2: " + configuration + ": serverHost is missing"}, {"n:2: " + configuration + ": serverPort is missing", "8090"},
				{"n:2: " + configuration + ": upstreamHost is missing"}, {"n:2: " + configuration + ": upstreamPort is missing", "80"},
				{"n:2: " + configuration + ".serverid: unknown key, did you mean serverId?"}},
		},
		"two spellings": {
			`{"services": [],` + "\n" + `"addons": []}`,
			[][]string{{"n:2: addons: this is another name of services"}},
		},
		"no hosts": {
			string(carrierFile(strings.Replace(nodeItem(serverID, "a b", ""), "::1", "a/b", 1))),
			[][]string{{"n:2: " + configuration + `.serverHost: "a b" is neither a host name nor an IP address; want the server's name`},
				{"n:3: " + configuration + ".upstreamHost: a/b is neither a host name nor an IP address; want the name"}},
		},
		"bootstraps": {
			`{"bootstraps": [7, {"id": "x", "address": "a b", "port": 0}, {}]}`,
			[][]string{{"n:1: bootstraps[0]: this is a number"}, {"n:1: bootstraps[1].id: "}, {"n:1: bootstraps[1].address: "},
				{"n:1: bootstraps[1].port: 0 is not from 1 to 65535; want a UDP port"}, {"n:1: bootstraps[2]: address is missing"},
				{"n:1: bootstraps[2]: id is missing"}, {"n:1: bootstraps[2]: port is missing"}},
		},
		"own key": {
			`{"bootstraps": [], "services": {}}`,
			[][]string{{"n:1: services: this is an object; want a list such as"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := DefaultNode()
			wantMistakes(t, ParseNode("n", []byte(test.file), &n), test.want...)
		})
	}
}

func TestCarrierServerMistakes(t *testing.T) {
	t.Parallel()
	const proxy = `{"class": "io.bosonnetwork.service.activeproxy.ActiveProxy", "configuration": {}}`
	s := DefaultServer()
	wantMistakes(t, ParseServer("s", carrierFile(proxy, proxy, `{"class": "a.DHTProxy", "configuration": {"port": 80}}`), &s),
		[]string{"s:3: services[1].configuration: a server has one ActiveProxy, which is services[0].configuration"},
		[]string{"s:4: services[2].class: a.DHTProxy is not supported", "elastos.carrier.service.activeproxy.ActiveProxy"})
	wantMistakes(t, ParseServer("s", carrierFile(`{"class": "ActiveProxy", "configuration": {"port": "70000", "portMappingRange": "9-1", "peerPrivateKey": "00"}}`), &s),
		[]string{"s:2: services[0].configuration.port: 70000 is not from 1 to 65535"},
		[]string{"s:2: services[0].configuration.portMappingRange: "},
		[]string{"s:2: services[0].configuration.peerPrivateKey: ", "128 hexadecimal digits"})
}
