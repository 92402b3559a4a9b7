package naming

import (
	"testing"

	"apquic/framing"
)

// TestAsk: what a service asks of which server.
func TestAsk(t *testing.T) {
	t.Parallel()
	old, plain := Server{}, Server{Features: framing.FeatureSet(framing.FeatureDomains)}
	named, ending := plain, plain
	named.Domain, ending.Domain, ending.EndsTLS = "t.example.org", "t.example.org", true
	for _, test := range []struct {
		what    string
		naming  Naming
		server  Server
		tls     uint32
		port    uint32
		refused bool
	}{
		{"a port", Naming{}, ending, 0, 20000, false},
		{"a domain", Naming{Domain: "a.example.org"}, plain, 1, 0, false},
		{"a domain at an old server", Naming{Domain: "a.example.org"}, old, 0, 0, true},
		{"a domain, ended", Naming{Domain: "a.example.org", TLS: 2}, plain, 2, 0, false},
		{"a name, by the way", Naming{TLS: 2, IfAny: true}, ending, 2, 20000, false},
		{"without one", Naming{TLS: 2, IfAny: true}, plain, 0, 20000, false},
		{"at an old server", Naming{TLS: 2, IfAny: true}, old, 0, 20000, false},
		{"ended by nobody", Naming{TLS: 2, IfAny: true}, named, 0, 20000, false},
		{"ended by the node", Naming{TLS: 1}, named, 1, 20000, false},
		{"a name, whatever the server says", Naming{TLS: 2}, plain, 2, 20000, false},
		{"a name, at an old server", Naming{TLS: 1}, old, 0, 20000, true},
	} {
		request := &framing.ProxyRequest{WantedPort: 20000}
		err := test.naming.Ask(test.server, request)
		if (err != nil) != test.refused || request.Tls != test.tls || request.WantedPort != test.port {
			t.Errorf("%s: tls %d, port %d, %v", test.what, request.Tls, request.WantedPort, err)
		}
	}
}
