package quicproxy_test

import (
	"testing"

	"apquic/framing"
)

// TestGuestRenames: a guest whose address has all the leases it may have can rename a service, which keeps
// its port, and has no more leases afterwards.
func TestGuestRenames(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(true), func(c *ServerConfig) { c.MaxLeasesPerAddress = 2 })
		a := newAsker(w, &framing.Hello{Instance: 1})
		request := func(origin string, services ...string) *framing.ProxyRequest {
			return &framing.ProxyRequest{Service: services[0], OriginAddress: origin, Services: services}
		}
		a.ask(framing.OpProxyRequest, request("tcp://localhost:80", "a"), framing.OpProxyResponse, 0)
		a.ask(framing.OpProxyRequest, request("tcp://localhost:81", "b", "a"), framing.OpProxyResponse, 0)
		a.ask(framing.OpRelease, &framing.Release{Service: "a", Hold: true}, framing.OpReleased, 0)
		a.ask(framing.OpProxyRequest, request("tcp://localhost:80", "c", "b"), framing.OpProxyResponse, 0)
		if l := leaseOn(t, server, 20000); l.Service != "c" {
			t.Errorf("the port belongs to %q", l.Service)
		}
		a.ask(framing.OpProxyRequest, request("tcp://localhost:82", "d", "b", "c"), framing.OpFailure, framing.ErrorTooManyServices)
		a.ask(framing.OpRelease, &framing.Release{Service: "b", Hold: true}, framing.OpReleased, 0)
		// A free wanted port makes a new lease; the old one would stay.
		moving := request("tcp://localhost:81", "e", "c")
		moving.WantedPort = 20010
		a.ask(framing.OpProxyRequest, moving, framing.OpFailure, framing.ErrorTooManyServices)
		if n := len(server.server.Status().Leases); n != 2 {
			t.Errorf("%d leases, want 2", n)
		}
	})
}
