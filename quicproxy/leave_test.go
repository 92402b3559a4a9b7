package quicproxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/rules"
)

// leasesOf are the services that have leases.
func leasesOf(server *running) (services []string) {
	for _, l := range server.server.Status().Leases {
		services = append(services, l.Service)
	}
	slices.Sort(services)
	return services
}

// TestReleaseAll: a node gives up all its leases, except those that it serves, which it hears, and those that are pinned.
// With none it may ask as often as it likes, which writes and logs nothing.
func TestReleaseAll(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer()
		node := w.startNode(exposeAt("web", tagA, 20003), expose("ssh", tagA), expose("mail", tagA))
		node.leases.wait(t, 3)
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		if _, _, err := server.server.Pin(t.Context(), key, 0); err != nil {
			t.Fatal(err)
		}
		release := func() error {
			return node.node.Inspect().Conn.Control.Request(t.Context(), framing.OpRelease, new(framing.Release), framing.OpReleased, new(framing.Released))
		}
		failure, ok := errors.AsType[*quicproxy.FailureError](release())
		if !ok || failure.Code != framing.ErrorBadRequest || failure.RetryAfter == 0 {
			t.Errorf("leases in use: %v", failure)
		}
		node.node.SetServices(nil)
		eventually(t, "all but the pinned one are given up", func() bool {
			return node.node.Leave(t.Context()) == nil && slices.Equal(leasesOf(server), []string{"web"})
		})
		time.Sleep(time.Hour) // so that it may write again
		logged := w.logged.count("lease released")
		for range 1000 {
			if err := release(); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.logged.count("lease released") - logged; n != 0 {
			t.Errorf("%d lines about nothing", n)
		}
		if all := server.server.Status().Leases; len(all) != 1 || !all[0].Pinned {
			t.Errorf("%+v", all)
		}
	})
}

// TestPinOfPrivateService: the pinned port of a service that becomes private is held, and the service's again when it is
// public, whatever port it wants then.
func TestPinOfPrivateService(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer(func(c *ServerConfig) { c.LeaseTime = time.Minute })
		node := w.startNode(exposeAt("web", tagA, 20003))
		node.leases.wait(t, 1)
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		if _, _, err := server.server.Pin(t.Context(), key, 0); err != nil {
			t.Fatal(err)
		}
		node.node.SetServices([]Service{{Name: "web", Upstream: tagA, Private: true}})
		public := func() string { return node.node.Status(t.Context()).Services[0].PublicAddress }
		eventually(t, "it is private", func() bool { return strings.HasPrefix(public(), "private:") })
		if !w.refusedVisit("20003") {
			t.Error("a private service has a visitor at its former port")
		}
		time.Sleep(time.Hour)
		if all := server.server.Status().Leases; len(all) != 1 || all[0].Port != 20003 || all[0].State() != lease.Lapsed {
			t.Fatalf("%+v", all)
		}
		node.node.SetServices([]Service{{Name: "web", Upstream: tagA, PublicPort: 20005}})
		eventually(t, "it is public again", func() bool { return public() == "tcp://"+serverIP+":20003" })
		if w.refusedVisit("20003") {
			t.Error("no visitor at the pinned port")
		}
	})
}

// TestPinAgainstRule: a pinned service has its port although its node wants one that a rule, or the server, does not let it
// have. The name of the rule is in the refusal without the pin.
func TestPinAgainstRule(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer()
		node := w.startNode(exposeAt("web", tagA, 20003), exposeAt("ssh", tagA, 20004))
		node.leases.wait(t, 2)
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		if _, _, err := server.server.Pin(t.Context(), key, 0); err != nil {
			t.Fatal(err)
		}
		node.stop()
		server.follow(t, guests(rules.Limits{Ports: portsOf(t, "20003")}, "*"))
		node = w.startNode(exposeAt("web", tagA, 20007), exposeAt("ssh", tagA, 20004))
		node.leases.wait(t, 1)
		if w.refusedVisit("20003") {
			t.Error("no visitor at the pinned port")
		}
		if failure := node.refused(t, "ssh"); failure.Code != framing.ErrorNotAllowed || failure.Text != `this node may not have the public port 20004, only: 20003 (rule "guests" of the server)` {
			t.Errorf("%+v", failure)
		}
		node.node.SetServices([]Service{{Name: "web", Upstream: tagA, PublicPort: 80}})
		time.Sleep(time.Minute)
		if w.refusedVisit("20003") {
			t.Error("no visitor at the pinned port, for want of one outside the range")
		}
	})
}
