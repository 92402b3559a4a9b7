package address

import (
	"net"
	"testing"

	"apquic/lease"
)

// socket listens at a port.
type socket struct {
	net.Listener
	port int
}

func (s socket) Addr() net.Addr { return &net.TCPAddr{Port: s.port} }

func TestOf(t *testing.T) {
	t.Parallel()
	port, domain := lease.Endpoint{Port: 20000}, lease.Endpoint{Domain: "www.example.org"}
	for _, test := range []struct {
		public    Public
		transport lease.Transport
		endpoint  lease.Endpoint
		want      string
	}{
		{Public{Host: "tunnel.example.org"}, lease.TCP, port, "tcp://tunnel.example.org:20000"},
		{Public{Host: "2001:db8::1"}, lease.UDP, port, "udp://[2001:db8::1]:20000"},
		{Public{Find: func() string { return "203.0.113.5" }}, lease.TCPAndUDP, port, "tcp+udp://203.0.113.5:20000"},
		{Public{HTTPS: socket{port: 443}, HTTP: socket{port: 80}}, lease.TCP, domain, "https://www.example.org"},
		{Public{HTTPS: socket{port: 8443}}, lease.TCP, domain, "https://www.example.org:8443"},
		{Public{HTTP: socket{port: 80}}, lease.TCP, domain, "http://www.example.org"},
		{Public{HTTP: socket{port: 8080}}, lease.TCP, domain, "http://www.example.org:8080"},
		{Public{}, lease.TCP, domain, "http://www.example.org"},
	} {
		if got := test.public.Of(test.transport, test.endpoint); got != test.want {
			t.Errorf("%v: %s, want %s", test.endpoint, got, test.want)
		}
	}
}
