package settings

import (
	"slices"
	"strings"
	"testing"
)

const someNode = "586Z7H2vpX9qNhN2T4e9Utugie3ogjbxzGaMtM3E6HR5"

func TestPrivateServices(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Service{
		`"public": true`:  {},
		`"public": false`: {Private: true},
		`"public": false, "allowNodes": ["laptop", "` + someNode + `"]`: {Private: true, AllowNodes: []string{"laptop", someNode}},
		`"public": false, "allowNodes": []`:                             {Private: true},
	} {
		n := DefaultNode()
		err := ParseNode("f", []byte(`{"services": {"ssh": {"upstream": "127.0.0.1:22", `+text+`}}}`), &n)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if s := n.Services[0]; s.Private != want.Private || !slices.Equal(s.AllowNodes, want.AllowNodes) {
			t.Errorf("%s: %+v", text, s)
		}
	}
	many := strings.Repeat(`"laptop", `, 32) + `"laptop"`
	for text, want := range map[string]string{
		`"public": "no"`:                                     "want true or false",
		`"public": null`:                                     "leave out the key",
		`"allowNodes": ["laptop"]`:                           "not public",
		`"public": false, "allowNodes": "laptop"`:            "want names or ids",
		`"public": false, "allowNodes": ["a b"]`:             `the name "a b"`,
		`"public": false, "allowNodes": [""]`:                "empty",
		`"public": false, "allowNodes": [7]`:                 "number",
		`"public": false, "allowNodes": [` + many + `]`:      "33 nodes",
		`"public": false, "publicPort": 20001`:               "neither publicPort nor ports",
		`"public": false, "domain": "a.example.org"`:         "no domain",
		`"public": false, "tls": "node"`:                     "no name at the server",
		`"public": false, "tls": "terminate"`:                "no name at the server",
		`"public": false, "http": "serve"`:                   "for a service with a domain",
		`"publc": false`:                                     "did you mean public",
		`"public": false, "allowNode": ["` + someNode + `"]`: "did you mean allowNodes",
	} {
		n := DefaultNode()
		err := ParseNode("f", []byte(`{"services": {"ssh": {"upstream": "127.0.0.1:22", `+text+`}}}`), &n)
		if err == nil {
			err = n.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestDescribePrivateServices(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	n.Services = []Service{{Name: "ssh", Upstream: "tcp://127.0.0.1:22", Private: true, AllowNodes: []string{"laptop"}}, {Name: "vnc", Upstream: "tcp://127.0.0.1:5900", Private: true}, {Name: "web", Upstream: "http://127.0.0.1", Private: true}}
	got := n.Describe()
	for _, want := range []string{
		"tcp://127.0.0.1:22, not public: this node and laptop may connect, with apquic-node connect NODE/ssh",
		"tcp://127.0.0.1:5900, not public: no node but this one may connect, with apquic-node connect NODE/vnc",
		"http://127.0.0.1, not public: no node but this one may connect, with apquic-node connect NODE/web\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if tls, ifAny := n.Services[2].ServerTLS(); tls != 0 || ifAny {
		t.Errorf("a private web server asks for a name: %d, %v", tls, ifAny)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"garage/ssh": "garage ssh", someNode + "/ssh": someNode + " ssh", "0x0100000000000000000000000000000000000000000000000000000000000000/a": "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM a",
		"": "", "garage": "", "/ssh": "", "garage/": "", "garage/a/b": "", "a b/ssh": "", "garage/SSH": "", "-x/ssh": "",
	} {
		node, service, err := ParseTarget(text)
		if (err == nil) != (want != "") || err == nil && node+" "+service != want {
			t.Errorf("%q: %q, %q, %v", text, node, service, err)
		}
	}
}

func TestNodeName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"garage": true, "Garage-2": true, "a b": false, "-x": false, someNode: false, strings.Repeat("x", 65): false} {
		n := DefaultNode()
		if err := ParseNode("f", []byte(`{"name": "`+name+`"}`), &n); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
