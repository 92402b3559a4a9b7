package quicproxy_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"apquic/framing"
	"apquic/lease"
	"apquic/rules"
)

// saidOf are limits of one node, said by the operator.
func saidOf(w *world, l rules.Limits) rules.Own { return rules.Own{w.nodeKey.ID(): l} }

func byOperator[T any](value T) rules.Limit[T] {
	return rules.Limit[T]{Value: value, By: rules.Operator}
}

// TestLimitLive: what the operator says of a node holds at once and before the rules, for new visitors; a relay that runs
// goes on; both sides have the name.
func TestLimitLive(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer(guests(rules.Limits{MaxClients: byRule(100)}, "*"))
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		first := w.visit("20000")
		if _, err := io.ReadFull(first, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		server.server.Limit(saidOf(w, rules.Limits{MaxClients: byOperator(1)}))
		if !w.refusedVisit("20000") || w.logged.count(`as many clients as it may have (limit of the operator)`) == 0 {
			t.Error("a second client is there, or nobody knows why not")
		}
		server.server.Limit(saidOf(w, rules.Limits{MaxClientRate: byOperator(1)}))
		limited := func() (first, any bool) {
			first = w.refusedVisit("20000")
			for range 5 {
				any = w.refusedVisit("20000") || any
			}
			return first, any
		}
		if _, any := limited(); !any {
			t.Error("5 came at once, of 1 a second")
		}
		server.follow(t, guests(rules.Limits{MaxClients: byRule(50)}, "*")) // a reload forgets no limit
		time.Sleep(10 * time.Second)
		if first, any := limited(); first || !any {
			t.Error("after a reload the limit does not hold")
		}
		server.server.Limit(saidOf(w, rules.Limits{Ports: byOperator(portsOf(t, "20005").Value)}))
		if !w.refusedVisit("20000") || w.logged.count("limit of the operator of the server") == 0 {
			t.Error("a port that is not allowed has visitors, or nobody knows why not")
		}
		exchange(t, first, "still here")
		server.server.Limit(nil)
		server.server.Kick(w.nodeKey.ID())
		eventually(t, "without limits a visitor is welcome", func() bool { return !w.refusedVisit("20000") })
	})
}

// TestLimitRefuses: the node is told that the operator's limit refuses a service.
func TestLimitRefuses(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		server.server.Limit(saidOf(w, rules.Limits{Protocols: byOperator([]string{rules.UDP})}))
		node := w.startNode(expose("web", tagA))
		failure := node.refused(t, "web")
		if failure.Code != framing.ErrorNotAllowed || !strings.Contains(failure.Text, "("+rules.Operator+" of the server)") || !strings.Contains(failure.Advice, "what the "+rules.Operator+" says") {
			t.Errorf("%+v", failure)
		}
	})
}

// TestLimitPaces: the bytes per second of a connection that runs are limited from then on.
func TestLimitPaces(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(tagA, echo)
		server := w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		const bytes = 1 << 20
		took := func() time.Duration {
			begin := time.Now()
			c := w.visit("20000")
			defer c.Close()
			go c.Write(make([]byte, bytes))
			if _, err := io.ReadFull(c, make([]byte, bytes)); err != nil {
				t.Error(err)
			}
			return time.Since(begin)
		}
		before := took()
		server.server.Limit(saidOf(w, rules.Limits{MaxRateOut: byOperator(int64(100 << 10))}))
		if after := took(); after < 5*time.Second || after < 2*before {
			t.Errorf("%v before, %v after", before, after)
		}
	})
}

// TestPinLive: a pinned port stays the service's over the end of the lease time and a restart; a live move is heard of at
// once, and what runs goes on.
func TestPinLive(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		short := func(c *ServerConfig) { c.LeaseTime = time.Minute }
		server := w.startServer(short)
		node := w.startNode(exposeAt("web", tagA, 20003))
		node.leases.wait(t, 1)
		first := w.visit("20003")
		if _, err := io.ReadFull(first, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		key := lease.Key{Node: w.nodeKey.ID(), Service: "web"}
		begin := time.Now()
		pinned, ended, err := server.server.Pin(t.Context(), key, 20007)
		if err != nil || !ended || pinned.Port != 20007 {
			t.Fatalf("%+v, %v, %v", pinned, ended, err)
		}
		eventually(t, "the node has the new port", func() bool {
			for _, s := range node.node.Status(t.Context()).Services {
				if strings.HasSuffix(s.PublicAddress, ":20007") {
					return true
				}
			}
			return false
		})
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("the node heard after %v", took)
		}
		if w.refusedVisit("20007") {
			t.Error("no visitor at the new port")
		}
		exchange(t, first, "still here")
		node.stop()
		time.Sleep(time.Hour)
		w.crash(server)
		server = w.startServer(short)
		time.Sleep(time.Hour)
		if all := server.server.Status().Leases; len(all) != 1 || all[0].Port != 20007 || !all[0].Pinned {
			t.Fatalf("%+v", all)
		}
		node = w.startNode(exposeAt("web", tagA, 20003))
		if l := node.leases.wait(t, 1)[0]; !strings.HasSuffix(l.PublicAddress, ":20007") {
			t.Errorf("it has %s", l.PublicAddress)
		}
		node.node.SetServices(nil) // it stops offering it
		time.Sleep(time.Hour)
		if all := server.server.Status().Leases; len(all) != 1 || !all[0].Pinned {
			t.Errorf("%+v", all)
		}
	})
}
