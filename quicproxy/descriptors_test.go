package quicproxy_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNoDescriptorForLease: a node that requests a port when no descriptor is left is told so, at once and
// not after all ports of the range were tried, and the existing ports stay.
func TestNoDescriptorForLease(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		var listened atomic.Int32
		server := w.startServer(func(c *ServerConfig) {
			listen := c.ListenPublic
			c.ListenPublic = func(port uint16) (net.Listener, error) { listened.Add(1); return listen(port) }
		})
		clients := server.server.Inspect().Clients
		clients.Reserve(clients.MayReserve() - 2)
		var services []func(*NodeConfig)
		for i := range 3 {
			services = append(services, expose(fmt.Sprint("s", i), web))
		}
		node := w.startNode(services...)
		node.leases.wait(t, 2)
		time.Sleep(time.Minute)
		if n := listened.Load(); n != 2 {
			t.Errorf("%d ports were opened", n)
		}
		for _, want := range []string{"no further public port can be opened", "(ulimit -n)", "LimitNOFILE="} {
			if !strings.Contains(w.logged.String(), want) {
				t.Errorf("the log does not say %q", want)
			}
		}
		if n := w.logged.count(`level=ERROR`); n != 1 {
			t.Errorf("%d errors were logged", n)
		}
		exchange(t, w.visit("20000"), "goes on")
		clients.Reserve(-1) // as if a lease had ended
		node.leases.wait(t, 3)
	})
}
