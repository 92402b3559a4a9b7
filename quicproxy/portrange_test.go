package quicproxy_test

import (
	"net"
	"slices"
	"sync"
	"testing"

	"apquic/framing"
	"apquic/lease"
)

// TestPortsOutsideTheRange: a node gets no port that the server's range does not name, however it asks: not those
// below 1024, and not the server's own.
func TestPortsOutsideTheRange(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		ports, err := lease.ParsePortRange("80,20000-20001")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var opened []uint16
		w.startServer(func(c *ServerConfig) {
			c.Ports = ports
			listen := c.ListenPublic
			c.ListenPublic = func(port uint16) (net.Listener, error) {
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, port)
				return listen(port)
			}
		})
		a := newAsker(w, &framing.Hello{Instance: 1})
		for _, port := range []uint32{1, 22, 79, 81, 443, 1023, serverUDP, 19999, 20002, 65535, 65536, 65536 + 80, 1<<32 - 1} {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: port}, framing.OpFailure, framing.ErrorPortOutOfRange)
		}
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: 80}, framing.OpProxyResponse, 0) // named
		for _, service := range []string{"b", "c"} {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: service}, framing.OpProxyResponse, 0)
		}
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "d"}, framing.OpFailure, framing.ErrorRangeFull)
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: serverUDP}, framing.OpFailure, framing.ErrorPortOutOfRange) // nor does it move there
		mu.Lock()
		defer mu.Unlock()
		if slices.Sort(opened); !slices.Equal(opened, []uint16{80, 20000, 20001}) {
			t.Errorf("the ports %v were opened", opened)
		}
	})
}
