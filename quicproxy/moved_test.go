package quicproxy_test

import (
	"testing"
	"time"
)

// TestChangedServiceStaysAttached: a service that a new process of the node asks for differently, so that its
// port is opened anew or another one, is not detached when the connection of the old process ends.
func TestChangedServiceStaysAttached(t *testing.T) {
	for name, change := range map[string]func(*Service){
		"another port":      func(s *Service) { s.PublicPort = 20005 },
		"another transport": func(s *Service) { s.Upstream = "tcp+udp://" + web },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.serveTCP(web, echo)
				server := w.startServer()
				old := w.startNode(expose("web", web))
				old.leases.wait(t, 1)
				node := w.startNode(expose("web", web), func(c *NodeConfig) { change(&c.Services[0]) })
				node.leases.wait(t, 1)
				old.stop()
				time.Sleep(5 * time.Minute)
				status := server.server.Status()
				if len(status.Sessions) != 1 || len(status.Leases) != 1 || !status.Leases[0].Attached() {
					t.Errorf("%d sessions, leases %+v", len(status.Sessions), status.Leases)
				}
			})
		})
	}
}
