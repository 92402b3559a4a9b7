package quicproxy_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
)

// relaysOf returns the relays that a server tells of.
func relaysOf(s *Server) []live.Relay {
	relays, _ := s.Relays(live.Selection{})
	return relays
}

// primaryOf returns the session of the node.
func primaryOf(t *testing.T, s *Server) live.Session {
	t.Helper()
	for _, session := range s.Status().Sessions {
		if session.Primary {
			return session
		}
	}
	t.Fatal("no node is here")
	return live.Session{}
}

// TestLiveRelays: a relay is told of while it runs, its bytes rise meanwhile, and the totals have it once, before and
// after its end.
func TestLiveRelays(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		begun := time.Now()
		visitor := w.visit("20000")
		part := make([]byte, 10_000)
		for i := range uint64(5) {
			exchange(t, visitor, string(part))
			time.Sleep(time.Second)
			relays := relaysOf(server.server)
			if len(relays) != 1 {
				t.Fatalf("%d relays", len(relays))
			}
			if atNode, total := node.node.Relays(live.Selection{Service: "web"}); total != 1 || atNode[0].In != relays[0].In || atNode[0].Out != relays[0].Out || atNode[0].Client != relays[0].Client {
				t.Errorf("at the node: %+v", atNode)
			}
			r, counters := relays[0], server.server.Status().Counters
			if want := (i + 1) * uint64(len(part)); r.In != want || r.Out != want || counters.ToNode != want || counters.FromNode != want {
				t.Errorf("%d bytes in and %d out, %+v in all, want %d", r.In, r.Out, counters, want)
			}
			if r.Node != w.nodeKey.ID() || r.Service != "web" || r.Port != 20000 || r.Client != visitor.LocalAddr().String() || r.State != "running" ||
				r.Resumed != 0 || r.Since.Sub(begun) > time.Second {
				t.Errorf("%+v", r)
			}
		}
		visitor.Close()
		eventually(t, "over", func() bool { return len(relaysOf(server.server)) == 0 })
		if counters := server.server.Status().Counters; counters.ToNode != 50_000 || counters.FromNode != 50_000 {
			t.Errorf("after the end: %+v", counters)
		}
	})
}

// TestLiveSelection: relays come in pages in the order in which they began, and by node and service.
func TestLiveSelection(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("web", web), expose("other", web))
		node.leases.wait(t, 2)
		var clients []string
		for i := range 30 {
			visitor := w.visit(fmt.Sprint(20000 + i%2))
			exchange(t, visitor, "hello")
			clients = append(clients, visitor.LocalAddr().String())
		}
		var got []string
		for skip := 0; skip < 30; skip += 7 {
			page, total := server.server.Relays(live.Selection{Node: w.nodeKey.ID(), Skip: skip, Limit: 7})
			if total != 30 {
				t.Errorf("%d in total", total)
			}
			for _, r := range page {
				got = append(got, r.Client)
			}
		}
		if !slices.Equal(got, clients) {
			t.Errorf("%v, want %v", got, clients)
		}
		for which, want := range map[live.Selection]int{
			{Service: "web"}: 15, {Node: newKey(t).ID()}: 0, {Skip: 31}: 30, {Skip: -1, Limit: -1}: 30, {Service: "other", Limit: 1 << 40}: 15,
		} {
			if _, total := server.server.Relays(which); total != want {
				t.Errorf("%+v: %d, want %d", which, total, want)
			}
		}
	})
}

// TestLiveWaiting: a client whose node is away is told of as one that waits, and a relay without a connection as one
// that resumes; then it says that it did.
func TestLiveWaiting(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		first := w.visit("20000")
		exchange(t, first, "hello")
		w.nat.Cut()
		io.WriteString(first, "lost?")
		time.Sleep(5 * time.Second) // the server has noticed
		begun := time.Now()
		w.visit("20000")
		time.Sleep(time.Second)
		relays := relaysOf(server.server)
		if len(relays) != 2 || relays[1].State != "waiting" || relays[1].Since.Sub(begun).Abs() > 100*time.Millisecond || relays[1].Service != "web" {
			t.Fatalf("%+v", relays)
		}
		if !primaryOf(t, server.server).Silent {
			t.Error("the node does not count as silent")
		}
		time.Sleep(quicproxy.DefaultIdleTimeout)
		if relays := relaysOf(server.server); len(relays) != 1 || relays[0].State != "resuming" {
			t.Errorf("%+v", relays)
		}
		if refused := server.server.Status().Counters.RefusedBy; refused["away"] != 1 {
			t.Errorf("refused: %v", refused)
		}
		w.nat.Restore()
		io.ReadFull(first, make([]byte, len("lost?")))
		exchange(t, first, "again")
		if relays := relaysOf(server.server); len(relays) != 1 || relays[0].State != "running" || relays[0].Resumed == 0 {
			t.Errorf("%+v", relays)
		}
	})
}

// TestLivePath: the round trip time and the loss of a session are those of its network, and a move of the node is
// counted, with when it was, even if nobody visits.
func TestLivePath(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.net.SetLatency(40 * time.Millisecond)
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		exchange(t, w.visit("20000"), "hello")
		path := primaryOf(t, server.server).Path
		if path.MinRTT < 80*time.Millisecond || path.RTT < path.MinRTT || path.RTT > 200*time.Millisecond || path.Lost != 0 || path.Sent == 0 || path.Moves != 0 || !path.Moved.IsZero() {
			t.Errorf("%+v", path)
		}
		w.visitor.Cut()
		time.Sleep(10 * time.Minute)
		w.nat.Rebind()
		moved := time.Now()
		time.Sleep(10 * time.Minute)
		session := primaryOf(t, server.server)
		if session.Path.Moves != 1 || session.Path.Moved.Before(moved) || session.Path.Keepalive == 0 || time.Since(session.Path.Heard) > session.Path.Keepalive+time.Minute {
			t.Errorf("after a move: %+v", session)
		}
	})
}

// TestLivePrivate: a private service is told of with its traffic, and a relay of it as one.
func TestLivePrivate(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		exchange(t, c, "hello")
		relays, status := relaysOf(p.server.server), p.server.server.Status()
		if len(relays) != 1 || !relays[0].Private || relays[0].Service != "ssh" || relays[0].Node != w.nodeKey.ID() || relays[0].In < 5 {
			t.Errorf("%+v", relays)
		}
		traffic := status.Private[lease.Key{Node: w.nodeKey.ID(), Service: "ssh"}]
		if len(status.Private) != 1 || traffic.Clients != 1 || traffic.ToNode < 5 {
			t.Errorf("%+v", status.Private)
		}
	})
}

// TestLiveFlows: flows are told of, and their bytes are in the totals even after their port was closed.
func TestLiveFlows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP("192.168.1.101:53")
		server := w.startServer()
		node := w.startNode(expose("dns", "udp://192.168.1.101:53"))
		node.leases.wait(t, 1)
		client := w.visitUDP(20000)
		client.ask("hello")
		time.Sleep(3 * time.Second)
		flows, total := server.server.Flows(live.Selection{})
		if total != 1 || flows[0].Service != "dns" || flows[0].Port != 20000 || flows[0].Node != w.nodeKey.ID() || !flows[0].Answered || flows[0].Idle < 2.9 || flows[0].Idle > 3.1 || flows[0].In != 5 || flows[0].Out < 5 || time.Since(flows[0].Since) < 3*time.Second || time.Since(flows[0].Since) > 4*time.Second {
			t.Errorf("%+v", flows)
		}
		if budgets := server.server.Status().Budgets; budgets.Flows.Used != 1 || budgets.Clients.Used != 1 || budgets.Clients.Limit == 0 || budgets.Memory.Limit == 0 {
			t.Errorf("%+v", budgets)
		}
		before := server.server.Status().Counters
		if before.ToNode < 5 || before.FromNode < 5 {
			t.Errorf("%+v", before)
		}
		node.stop()
		eventually(t, "gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		if err := server.server.Forget(t.Context(), lease.Key{Node: w.nodeKey.ID(), Service: "dns"}); err != nil {
			t.Fatal(err)
		}
		if after := server.server.Status().Counters; after.ToNode != before.ToNode || after.FromNode != before.FromNode {
			t.Errorf("%+v, before the port was closed %+v", after, before)
		}
	})
}

// TestKick: a kicked node loses its session and its relays at once; it comes back within seconds with the same port,
// and is as good as before.
func TestKick(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		server := w.startServer()
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		for range 3 {
			eventually(t, "here", func() bool { return len(server.server.Status().Sessions) == 1 })
			visitor := w.visit("20000")
			exchange(t, visitor, "hello")
			before := primaryOf(t, server.server).Since
			begun := time.Now()
			if n := server.server.Kick(w.nodeKey.ID()); n != 1 {
				t.Errorf("%d connections ended", n)
			}
			if _, err := io.ReadAll(visitor); err == nil || time.Since(begun) > time.Second {
				t.Errorf("the visitor saw %v after %v", err, time.Since(begun))
			}
			eventually(t, "back", func() bool {
				sessions := server.server.Status().Sessions
				return len(sessions) == 1 && sessions[0].Since.After(before)
			})
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("back after %v", took)
			}
			again := w.visit("20000")
			exchange(t, again, "hello again")
			again.Close()
		}
		if leases := server.server.Status().Leases; len(leases) != 1 || leases[0].Port != 20000 || !leases[0].Attached() {
			t.Errorf("%+v", leases)
		}
		if server.server.Kick(newKey(t).ID()) != 0 {
			t.Error("kicked a node that is not here")
		}
	})
}

// TestRevokedWithinASecond: the session of a node that is no longer allowed ends within a second, with its relays.
func TestRevokedWithinASecond(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		g.write(w.nodeKey.ID().String()+" shed", "")
		w.serveTCP(web, echo)
		server := w.startServer(g.admit(false))
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		visitor := w.visit("20000")
		exchange(t, visitor, "hello")
		if err := g.nodes.Deny(t.Context(), w.nodeKey.ID()); err != nil {
			t.Fatal(err)
		}
		if err := server.server.Disconnect(t.Context(), w.nodeKey.ID()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		io.ReadAll(visitor)
		eventually(t, "gone", func() bool { return len(server.server.Status().Sessions) == 0 })
		if took := time.Since(begun); took > time.Second {
			t.Errorf("gone after %v", took)
		}
		time.Sleep(10 * time.Minute)
		if len(server.server.Status().Sessions) != 0 {
			t.Error("it is back")
		}
	})
}

// TestRefusedByReason: whatever refuses a client has a reason, and the sum of the reasons is what was refused.
func TestRefusedByReason(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTCP(web, echo)
		server := w.startServer(func(c *ServerConfig) {
			c.MaxClients, c.MaxClientsPerAddress = 2, 1
			c.Park = time.Second
			https, err := w.machine.ListenTCP(net.JoinHostPort(serverIP, "443"))
			if err != nil {
				t.Fatal(err)
			}
			c.HTTPS = https
		})
		node := w.startNode(expose("web", web), func(c *NodeConfig) {
			c.Services = append(c.Services, Service{Name: "closed", Upstream: web, Visitors: quicproxy.Visitors{DenyCountries: nil, Deny: prefixes(visitorIP + "/32")}})
		})
		node.leases.wait(t, 2)
		exchange(t, w.visit("20000"), "hello")
		io.ReadAll(w.visit("20000")) // address
		io.ReadAll(w.visit("20001")) // network
		silent := w.visit("443")
		io.ReadAll(silent) // it says nothing
		foreign := w.visit("443")
		io.WriteString(foreign, "SSH-2.0-OpenSSH\r\n\r\n")
		io.ReadAll(foreign)
		w.nat.Cut()
		time.Sleep(5 * time.Second)
		other := w.net.Host("198.51.100.8")
		c, err := other.DialTCP(t.Context(), net.JoinHostPort(serverIP, "20000"))
		if err != nil {
			t.Fatal(err)
		}
		io.ReadAll(c) // away
		synctest.Wait()
		counters := server.server.Status().Counters
		for _, reason := range []string{"address", "network", "silent", "name", "away"} {
			if counters.RefusedBy[reason] != 1 {
				t.Errorf("no %s in %v", reason, counters.RefusedBy)
			}
		}
		var sum uint64
		for _, n := range counters.RefusedBy {
			sum += n
		}
		if sum != counters.Refused || sum != 5 {
			t.Errorf("%d refused, %v", counters.Refused, counters.RefusedBy)
		}
	})
}

// TestLiveIsBounded: however many clients there are, an answer has 1000 rows at most, and says how many there are.
func TestLiveIsBounded(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const clients = 1100
		w.serveTCP(web, echo)
		server := w.startServer(func(c *ServerConfig) { c.MaxClients, c.MaxClientsPerAddress = 2*clients, 2*clients })
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		for range clients {
			w.visit("20000")
		}
		eventually(t, "all here", func() bool {
			_, total := server.server.Relays(live.Selection{Limit: 1})
			return total == clients
		})
		for skip, want := range map[int]int{0: 1000, 1000: 100, clients: 0} {
			rows, total := server.server.Relays(live.Selection{Skip: skip, Limit: 1 << 30})
			if len(rows) != want || total != clients {
				t.Errorf("after %d: %d rows of %d, want %d", skip, len(rows), total, want)
			}
		}
		if rows, total := node.node.Relays(live.Selection{}); len(rows) != 1000 || total != clients {
			t.Errorf("at the node: %d rows of %d", len(rows), total)
		}
	})
}
