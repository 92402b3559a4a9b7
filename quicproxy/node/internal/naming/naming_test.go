package naming

import (
	"testing"

	"apquic/framing"
)

// TestAsk: what a service asks of which server.
func TestAsk(t *testing.T) {
	t.Parallel()
	plain, named, ending := Server{}, Server{Domain: "t.example.org"}, Server{Domain: "t.example.org", EndsTLS: true}
	for _, test := range []struct {
		what   string
		naming Naming
		server Server
		tls    uint32
		port   uint32
	}{
		{"a port", Naming{}, ending, 0, 20000},
		{"a domain", Naming{Domain: "a.example.org"}, plain, 1, 0},
		{"a domain, ended", Naming{Domain: "a.example.org", TLS: 2}, plain, 2, 0},
		{"a name, by the way", Naming{TLS: 2, IfAny: true}, ending, 2, 20000},
		{"without one", Naming{TLS: 2, IfAny: true}, plain, 0, 20000},
		{"ended by nobody", Naming{TLS: 2, IfAny: true}, named, 0, 20000},
		{"ended by the node", Naming{TLS: 1}, named, 1, 20000},
		{"a name, whatever the server says", Naming{TLS: 2}, plain, 2, 20000},
	} {
		request := &framing.ProxyRequest{WantedPort: 20000}
		test.naming.Ask(test.server, request)
		if request.Tls != test.tls || request.WantedPort != test.port {
			t.Errorf("%s: tls %d, port %d", test.what, request.Tls, request.WantedPort)
		}
	}
}
