package quicproxy_test

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"apquic/framing"
	"apquic/internal/testrace"
	"apquic/lease"
)

// TestHostileMember: a node of a group takes nothing from the others: not the address, which it can neither
// release nor move, nor more clients than it keeps.
func TestHostileMember(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...), w.withDomains)
		homes[0].startService()
		homes[0].start().leases.wait(t, 1)
		w.nodeKey = homes[1].key
		a := newAsker(w, &framing.Hello{Instance: 1})
		group := func() *framing.ProxyRequest { return &framing.ProxyRequest{Service: "web", Group: "photos"} }
		a.ask(framing.OpProxyRequest, group(), framing.OpProxyResponse, 0)

		port, udp, named, twice := group(), group(), group(), group()
		port.WantedPort, named.Domain, twice.Service = 20007, "www.example.org", "other"
		a.ask(framing.OpProxyRequest, port, framing.OpFailure, framing.ErrorGroupElsewhere)
		a.ask(framing.OpProxyRequest, named, framing.OpFailure, framing.ErrorGroupElsewhere)
		a.ask(framing.OpProxyRequest, twice, framing.OpFailure, framing.ErrorBadRequest)
		udp.Group = "PHOTOS"
		a.ask(framing.OpProxyRequest, udp, framing.OpFailure, framing.ErrorBadRequest)
		for _, hold := range []bool{false, true} {
			a.ask(framing.OpRelease, &framing.Release{Service: "web", Hold: hold}, framing.OpReleased, 0)
			if l := server.server.Status().Leases[0]; !l.Attached() || l.Port != 20000 || !l.IsGroup() {
				t.Errorf("after its release the group has %+v", l)
			}
			if g := w.enter(); g.at != "a" {
				t.Errorf("a client is at %q", g.at)
			}
			a.ask(framing.OpProxyRequest, group(), framing.OpProxyResponse, 0)
		}

		// It accepts clients and says nothing: it keeps those, while the other serves as many.
		served := 0
		for range 10 {
			c := w.visit("20000")
			c.SetDeadline(time.Now().Add(time.Second))
			if line := make([]byte, 2); func() bool { _, err := io.ReadFull(c, line); return err == nil && line[0] == 'a' }() {
				served++
			}
		}
		if served < 4 {
			t.Errorf("the other serves %d of 10", served)
		}

		// A service that is no longer one of the group has a port of its own, and no clients of the group.
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web"}, framing.OpProxyResponse, 0)
		if members := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Members; len(members) > 0 && members[len(members)-1].Connected && members[len(members)-1].Node == homes[1].key.ID() {
			t.Errorf("members are %+v", members)
		}
		for range 4 {
			if g := w.enter(); g.at != "a" {
				t.Errorf("a client is at %q", g.at)
			}
		}
	})
}

// TestFlappingMember: a node that says thousands of times that it is unhealthy, and well again, costs no
// write and few lines, and disturbs nobody.
func TestFlappingMember(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		var writes atomic.Int64
		w.store = countingStore{w.store, &writes}
		w.startServer(allow(homes...))
		homes[0].startService()
		homes[0].start().leases.wait(t, 1)
		w.nodeKey = homes[1].key
		a := newAsker(w, &framing.Hello{Instance: 1})
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Group: "photos"}, framing.OpProxyResponse, 0)
		before, lines := writes.Load(), w.logged.told()
		for i := range testrace.Whole(4000, 400) {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Group: "photos", Unhealthy: i%2 == 0}, framing.OpProxyResponse, 0)
		}
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		if n := w.logged.told() - lines; n > 100 {
			t.Errorf("%d lines", n)
		}
		a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Group: "photos", Unhealthy: true}, framing.OpProxyResponse, 0)
		if _, at := w.enterMany(4); at["a"] != 4 {
			t.Errorf("clients are at %v", at)
		}
	})
}

// TestForeignGroup: a node that asks for groups that are not its own learns nothing, and costs no write and
// few lines.
func TestForeignGroup(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		var writes atomic.Int64
		w.store = countingStore{w.store, &writes}
		server := w.startServer(allow(homes[0]))
		homes[0].startService()
		homes[0].start().leases.wait(t, 1)
		w.nodeKey = homes[1].key
		a := newAsker(w, &framing.Hello{Instance: 1})
		before, lines := writes.Load(), w.logged.told()
		for i := range testrace.Whole(1000, 200) {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Group: "photos", WantedPort: 20000}, framing.OpFailure, framing.ErrorNotInGroup)
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Group: fmt.Sprint("g", i)}, framing.OpFailure, framing.ErrorNotInGroup)
		}
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		if n := w.logged.told() - lines; n > 100 {
			t.Errorf("%d lines", n)
		}
		if n := len(server.server.Status().Leases); n != 1 {
			t.Errorf("%d leases", n)
		}
		if g := w.enter(); g.at != "a" {
			t.Errorf("a client is at %q", g.at)
		}
	})
}
