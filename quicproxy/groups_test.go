package quicproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/testnet"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
)

// outpost is a home of its own, whose service says where it is to each client, and then echoes.
type outpost struct {
	w    *world
	name string
	nat  *testnet.NAT
	home *testnet.Host
	key  certs.PrivateKey
	node *running

	mu       sync.Mutex
	listener net.Listener
	serving  sync.WaitGroup
}

// groupWorld has several outposts; the first are those that may offer the group photos.
func groupWorld(t *testing.T, homes int, f func(t *testing.T, w *world, homes []*outpost)) {
	t.Helper()
	simulate(t, func(t *testing.T, w *world) {
		var all []*outpost
		for i := range homes {
			h := &outpost{w: w, name: string(rune('a' + i)), key: newKey(t)}
			h.nat = w.net.NAT(fmt.Sprint("192.0.2.", 11+i))
			h.home = h.nat.Host("192.168.1.101")
			t.Cleanup(h.stopService)
			all = append(all, h)
		}
		f(t, w, all)
	})
}

// allow are the settings of a server on which these may offer the group photos.
func allow(homes ...*outpost) func(*ServerConfig) {
	return func(c *ServerConfig) {
		c.Groups = map[string][]string{"photos": {}}
		for _, h := range homes {
			c.Groups["photos"] = append(c.Groups["photos"], h.key.ID().String())
		}
	}
}

func (h *outpost) startService() {
	h.w.t.Helper()
	listener, err := h.home.ListenTCP(web)
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.mu.Lock()
	h.listener = listener
	h.mu.Unlock()
	h.serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			h.serving.Go(func() {
				defer c.Close()
				io.WriteString(c, h.name+"\n")
				echo(c)
			})
		}
	})
}

// stopService refuses new clients; those that it has stay.
func (h *outpost) stopService() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listener != nil {
		h.listener.Close()
	}
}

// start starts its node, whose service has the name of the outpost.
func (h *outpost) start(change ...func(*Service)) *running {
	h.w.t.Helper()
	service := Service{Name: h.name, Upstream: web, Group: "photos"}
	for _, c := range change {
		c(&service)
	}
	h.node = h.w.startNode(func(c *NodeConfig) {
		c.Key, c.Log = h.key, h.w.log.With("side", "node "+h.name)
		c.ListenPacket = func() (net.PacketConn, error) { return h.home.ListenUDP(0) }
		c.DialUpstream = func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "udp" {
				return dialUDP(h.home, address)
			}
			return h.home.DialTCP(ctx, address)
		}
		c.Services = []Service{service}
	})
	return h.node
}

// refusal waits until its service is refused.
func (h *outpost) refusal() *quicproxy.FailureError {
	h.w.t.Helper()
	var failure *quicproxy.FailureError
	eventually(h.w.t, "refused", func() bool {
		return errors.As(h.node.node.Status(h.w.t.Context()).Services[0].Refusal, &failure)
	})
	return failure
}

// guest is a client of the group, and where it is.
type guest struct {
	net.Conn
	at string
}

// enter connects a client and reads where it is; empty: it was reset.
func (w *world) enter() guest {
	w.t.Helper()
	c := w.visit("20000")
	line, _ := bufio.NewReaderSize(c, 16).ReadString('\n')
	return guest{c, strings.TrimSpace(line)}
}

// enterMany connects clients and counts where they are.
func (w *world) enterMany(n int) (all []guest, at map[string]int) {
	w.t.Helper()
	at = make(map[string]int)
	for range n {
		g := w.enter()
		all = append(all, g)
		at[g.at]++
	}
	return all, at
}

// TestGroup: nodes of a group get one address, under names of their own, and each new client goes to the one
// with the fewest clients, exactly. Others are refused, and told nothing.
func TestGroup(t *testing.T) {
	groupWorld(t, 3, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes[:2]...))
		for _, h := range homes {
			h.startService()
			h.start()
		}
		for _, h := range homes[:2] {
			if got := h.node.leases.wait(t, 1)[0].PublicAddress; got != "tcp://203.0.113.5:20000" {
				t.Errorf("%s has %s", h.name, got)
			}
		}
		failure := homes[2].refusal()
		if failure.Code != framing.ErrorNotInGroup || !strings.Contains(failure.Advice, homes[2].key.ID().String()) ||
			strings.Contains(failure.Text+failure.Advice, homes[0].key.ID().String()) {
			t.Errorf("a stranger is told %+v", failure)
		}
		all, at := w.enterMany(10)
		if at["a"] != 5 || at["b"] != 5 {
			t.Errorf("clients are at %v", at)
		}
		for _, g := range all {
			if g.at == "a" {
				g.Close()
			}
		}
		time.Sleep(2 * time.Second)
		if all, at = w.enterMany(5); at["a"] != 5 {
			t.Errorf("after the clients of a have left, new ones are at %v", at)
		}
		for _, g := range all {
			exchange(t, g, "hello")
		}
		if n := len(server.server.Status().Leases); n != 1 {
			t.Errorf("%d leases", n)
		}
	})
}

// TestGroupTellsNothing: a group that does not exist is refused with the same words.
func TestGroupTellsNothing(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		w.startServer(allow(homes[0]))
		homes[1].start()
		is := homes[1].refusal()
		homes[1].node.stop()
		homes[1].start(func(s *Service) { s.Group = "nobody" })
		none := homes[1].refusal()
		same := func(s string) string { return strings.ReplaceAll(s, "nobody", "photos") }
		if none.Code != is.Code || same(none.Text) != is.Text || same(none.Advice) != is.Advice || none.RetryAfter != is.RetryAfter {
			t.Errorf("%+v and %+v", is, none)
		}
	})
}

// TestGroupMemberDies: when a node is cut off its new clients go to the other; the relays of both go on when
// it is back, and then it gets clients again.
func TestGroupMemberDies(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...))
		for _, h := range homes {
			h.startService()
			h.start().leases.wait(t, 1)
		}
		running, at := w.enterMany(4)
		if at["a"] != 2 || at["b"] != 2 {
			t.Fatalf("clients are at %v", at)
		}
		homes[0].nat.Cut()
		for _, g := range running {
			if g.at == "a" {
				io.WriteString(g, "lost?") // so that the server notices
			}
		}
		time.Sleep(5 * time.Second)
		during, at := w.enterMany(6)
		if at["b"] != 6 {
			t.Errorf("while a is cut off, clients are at %v", at)
		}
		homes[0].nat.Restore()
		for _, g := range running {
			if g.at == "a" {
				answer := make([]byte, 5)
				if _, err := io.ReadFull(g, answer); err != nil || string(answer) != "lost?" {
					t.Errorf("a relay of a did not go on: %q, %v", answer, err)
				}
			}
			exchange(t, g, "again")
		}
		time.Sleep(time.Second)
		if _, at = w.enterMany(6); at["a"] != 6 { // they have 2 and 8 clients
			t.Errorf("after a is back, clients are at %v", at)
		}
		for _, g := range during {
			g.Close()
		}
		_ = server
	})
}

// TestGroupMemberKilled: a node that is killed without a word delays only the clients that reach it before
// that is noticed: they are reset when it is, since the other would take them. Nothing is left.
func TestGroupMemberKilled(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...))
		for _, h := range homes {
			h.startService()
			h.start().leases.wait(t, 1)
		}
		homes[0].nat.Cut()
		homes[0].node.stop()
		var mu sync.Mutex
		var visits sync.WaitGroup
		at := make(map[string]int)
		for range 10 {
			visits.Go(func() {
				begin := time.Now()
				g := w.enter()
				mu.Lock()
				defer mu.Unlock()
				at[g.at]++
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("a client of %q waited %v", g.at, took)
				}
				g.Close()
			})
		}
		visits.Wait()
		if at["b"]+at[""] != 10 || at[""] == 0 || at[""] > 5 {
			t.Errorf("clients were at %v", at)
		}
		if all, at := w.enterMany(6); at["b"] != 6 {
			t.Errorf("then clients were at %v", at)
		} else {
			for _, g := range all {
				g.Close()
			}
		}
		time.Sleep(5 * time.Minute)
		server.server.Inspect().Leftovers(true, func(what string, n int) {
			if n > 0 && strings.Contains(what, "client") {
				t.Errorf("%d %s are left", n, what)
			}
		})
	})
}

// TestUnhealthy: a service whose health check fails twice in a row gets no new clients until it succeeds; its
// relays go on, and nothing is written.
func TestUnhealthy(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		var writes atomic.Int64
		w.store = countingStore{w.store, &writes}
		w.startServer(allow(homes...))
		for _, h := range homes {
			h.startService()
			h.start(func(s *Service) { s.Health = "tcp" }).leases.wait(t, 1)
		}
		running, at := w.enterMany(2)
		if at["a"] != 1 || at["b"] != 1 {
			t.Fatalf("clients are at %v", at)
		}
		before := writes.Load()
		homes[0].stopService()
		time.Sleep(25 * time.Second)
		if err := homes[0].node.node.Status(t.Context()).Services[0].Upstream; err == nil {
			t.Error("the status does not tell")
		}
		if _, at = w.enterMany(4); at["b"] != 4 {
			t.Errorf("while a is unhealthy, clients are at %v", at)
		}
		for _, g := range running {
			exchange(t, g, "still here")
		}
		homes[0].startService()
		time.Sleep(11 * time.Second)
		if _, at = w.enterMany(4); at["a"] != 4 {
			t.Errorf("after a is healthy again, clients are at %v", at)
		}
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		for _, line := range []string{"the service is unhealthy and gets no new clients", "the service is healthy again"} {
			if n := w.logged.count(line); n != 1 {
				t.Errorf("%d lines %q", n, line)
			}
		}
	})
}

// TestRefusingMember: without a health check, a node whose service refuses clients costs no more than one in
// a while.
func TestRefusingMember(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		w.startServer(allow(homes...))
		for _, h := range homes {
			h.startService()
			h.start().leases.wait(t, 1)
		}
		homes[0].stopService()
		_, at := w.enterMany(50)
		if at["b"] < 48 || at["b"]+at[""] != 50 {
			t.Errorf("clients were at %v", at)
		}
	})
}

// TestUnhealthyAlone: clients of a service without a group wait while it is unhealthy, as if its node were
// away.
func TestUnhealthyAlone(t *testing.T) {
	groupWorld(t, 1, func(t *testing.T, w *world, homes []*outpost) {
		w.startServer()
		h := homes[0]
		h.start(func(s *Service) { s.Group, s.Health = "", "tcp" }).leases.wait(t, 1) // nothing listens yet
		time.Sleep(2 * time.Second)
		began := time.Now()
		arrived := make(chan guest, 1)
		go func() { arrived <- w.enter() }()
		time.Sleep(5 * time.Second)
		h.startService()
		if g := <-arrived; g.at != "a" || time.Since(began) < 5*time.Second {
			t.Errorf("the client was at %q after %v", g.at, time.Since(began))
		}
	})
}

// TestGroupLeaseIsKept: the address stays the group's while all are away, for as long as that of a known
// node, and across restarts of the server, whose new rules hold.
func TestGroupLeaseIsKept(t *testing.T) {
	groupWorld(t, 3, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes[:2]...))
		for _, h := range homes[:2] {
			h.startService()
			h.start().leases.wait(t, 1)
		}
		homes[0].node.stop()
		if l := server.server.Status().Leases[0]; !l.Attached() || !l.IsGroup() || l.Service != "photos" {
			t.Errorf("with one node away the lease is %+v", l)
		}
		homes[1].node.stop()
		time.Sleep(time.Second)
		if l := server.server.Status().Leases[0]; l.State() != lease.Held {
			t.Errorf("with both away the lease is %+v", l)
		}
		time.Sleep(4 * time.Hour)
		if l := server.server.Status().Leases[0]; l.State() != lease.Lapsed {
			t.Errorf("after the hold time the lease is %+v", l)
		}
		server.stop()
		server = w.startServer(allow(homes[1], homes[2]))
		homes[2].startService()
		homes[2].start(func(s *Service) { s.Group = "" })
		if got := homes[2].node.leases.wait(t, 1)[0].PublicAddress; got == "tcp://203.0.113.5:20000" {
			t.Error("another service got the address of the group")
		}
		homes[0].start()
		if failure := homes[0].refusal(); failure.Code != framing.ErrorNotInGroup {
			t.Errorf("a former member: %v", failure)
		}
		homes[1].start()
		if got := homes[1].node.leases.wait(t, 1)[0].PublicAddress; got != "tcp://203.0.113.5:20000" {
			t.Errorf("the group is at %s", got)
		}
		w.crash(server)
		server = w.startServer(allow(homes[1], homes[2]))
		eventually(t, "served again", func() bool { return w.enter().at == "b" })
		server.stop()
		server = w.startServer() // without groups
		time.Sleep(time.Minute)
		if l := server.server.Status().Leases[0]; l.State() != lease.Reserved {
			t.Errorf("a former group has %+v", l)
		}
	})
}

// TestGroupElsewhere: while others offer the group nobody moves it; alone a node may.
func TestGroupElsewhere(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		w.startServer(allow(homes...))
		homes[0].startService()
		homes[0].start().leases.wait(t, 1)
		homes[1].start(func(s *Service) { s.PublicPort = 20005 })
		if failure := homes[1].refusal(); failure.Code != framing.ErrorGroupElsewhere || !strings.Contains(failure.Text, "port 20000 over tcp") {
			t.Errorf("%+v", failure)
		}
		if g := w.enter(); g.at != "a" {
			t.Errorf("the client is at %q", g.at)
		}
		homes[0].node.stop()
		if got := homes[1].node.leases.wait(t, 1)[0].PublicAddress; got != "tcp://203.0.113.5:20005" {
			t.Errorf("alone it has %s", got)
		}
	})
}

// TestGroupFlows: a flow stays with its node while that is well, and goes to another one when it is not.
func TestGroupFlows(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...))
		for _, h := range homes {
			w.home = h.home
			w.serveUDP(upstreamUDP)
			h.start(func(s *Service) { s.Upstream = "udp://" + upstreamUDP }).leases.wait(t, 1)
		}
		of := func(h *outpost) int { return h.node.node.Status(t.Context()).Services[0].Relays }
		var clients []*udpClient
		for i := range 6 {
			c := w.visitUDP(20000)
			c.ask(fmt.Sprint("hello ", i))
			clients = append(clients, c)
		}
		if of(homes[0]) != 3 || of(homes[1]) != 3 {
			t.Errorf("%d and %d flows", of(homes[0]), of(homes[1]))
		}
		for range 5 { // longer than a flow may be idle
			time.Sleep(20 * time.Second)
			for _, c := range clients {
				c.ask("again")
			}
		}
		if of(homes[0]) != 3 || of(homes[1]) != 3 {
			t.Errorf("later %d and %d flows", of(homes[0]), of(homes[1]))
		}
		homes[0].node.stop()
		for _, c := range clients {
			c.ask("elsewhere")
		}
		if of(homes[1]) != 6 {
			t.Errorf("then %d flows", of(homes[1]))
		}
		noFlows(t, server.server, homes[1].node.node)
	})
}

// TestGroupOfDomain: a group may have a domain; which of the nodes and upstreams ends TLS is up to each. Clients come without TLS
// only if all nodes say so.
func TestGroupOfDomain(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		w.startServer(allow(homes...), w.withDomains)
		for i, h := range homes {
			w.home = h.home
			w.serveTLS(secureWeb, h.name)
			h.start(func(s *Service) { s.Upstream, s.Domain, s.PlainHTTP = secureWeb, "www.example.org", i == 0 }).leases.wait(t, 1)
		}
		at := make(map[string]int)
		for range 4 {
			c, served, err := w.visitTLS("www.example.org")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			at[served]++
		}
		if at["a"] != 2 || at["b"] != 2 {
			t.Errorf("clients are at %v", at)
		}
		if response, _ := w.visitHTTP("GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"); response.StatusCode != 308 {
			t.Errorf("a client without TLS gets %s", response.Status)
		}
	})
}

// TestGroupEndsTLS: the server may end TLS, and HTTP, for a group, whose nodes get its clients in turn and must agree
// on it; alone a node may change it. A restart of the server changes nothing.
func TestGroupEndsTLS(t *testing.T) {
	groupWorld(t, 2, func(t *testing.T, w *world, homes []*outpost) {
		ending, termination := w.withTermination(t)
		server := w.startServer(allow(homes...), termination)
		for _, h := range homes {
			w.home = h.home
			w.serveHTTP(web, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, h.name+" for "+r.Host) })
		}
		ended := func(tls uint32) func(*Service) {
			return func(s *Service) { s.Domain, s.TLS = "www.example.org", tls }
		}
		homes[0].start(ended(2)).leases.wait(t, 1)
		for _, tls := range []uint32{0, 1, 3} {
			homes[1].start(ended(tls))
			if f := homes[1].refusal(); f.Code != framing.ErrorGroupElsewhere || !strings.Contains(f.Advice, "same tls") {
				t.Errorf("tls %d: %+v", tls, f)
			}
			homes[1].node.stop()
		}
		homes[1].start(ended(2)).leases.wait(t, 1)
		check := func() {
			t.Helper()
			at := make(map[string]int)
			for i := range 4 {
				browser := w.browser(i%2 == 0)
				_, body := fetch(t, browser, "https://www.example.org/")
				at[body]++
				defer browser.CloseIdleConnections()
			}
			if at["a for www.example.org"] != 2 || at["b for www.example.org"] != 2 {
				t.Errorf("clients are at %v", at)
			}
		}
		check()
		ending.mu.Lock()
		if len(ending.wanted) != 1 || ending.wanted["www.example.org group ph"] == 0 {
			t.Errorf("wanted is %v, not for the group", ending.wanted)
		}
		ending.mu.Unlock()
		w.crash(server)
		_, termination = w.withTermination(t)
		w.startServer(allow(homes...), termination)
		if _, body := fetch(t, w.browser(true), "https://www.example.org/"); !strings.HasSuffix(body, " for www.example.org") {
			t.Errorf("a client that waited for the nodes gets %q", body)
		}
		homes[0].node.stop()
		homes[1].node.stop()
		homes[1].start(ended(1)).leases.wait(t, 1)
		homes[0].start(ended(2))
		if f := homes[0].refusal(); f.Code != framing.ErrorGroupElsewhere {
			t.Errorf("%+v", f)
		}
	})
}

// TestGroupHasNoOwnName: names below the server's own domain are of one node each. A group has none, and a request for
// one is refused.
func TestGroupHasNoOwnName(t *testing.T) {
	groupWorld(t, 1, func(t *testing.T, w *world, homes []*outpost) {
		_, termination := w.withTermination(t)
		w.startServer(allow(homes...), termination)
		if l := homes[0].start().leases.wait(t, 1)[0]; l.Name != "" || l.PublicAddress != "tcp://"+serverIP+":20000" {
			t.Errorf("%+v", l)
		}
		w.wantUnrecognized("photos-" + strings.Repeat("a", 16) + ".tunnel.example.org")
		homes[0].node.stop()
		homes[0].start(func(s *Service) { s.TLS = 1 })
		if f := homes[0].refusal(); f.Code != framing.ErrorBadRequest || !strings.Contains(f.Text, "of one node each") {
			t.Errorf("%+v", f)
		}
	})
}

// TestServerWithoutGroups: a node does not ask a server that would ignore the group and lease a port of the
// node's own, and says why.
func TestServerWithoutGroups(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var asked atomic.Int32
		scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
			if e.Opcode == framing.OpProxyRequest {
				asked.Add(1)
			}
			return politely(&framing.Welcome{Features: []uint32{1, 2, 3, 4, 5}, Instance: 1}, &framing.Failure{Code: uint64(framing.ErrorRangeFull)})(control, e)
		})
		node := w.startNode(func(c *NodeConfig) { c.Services = []Service{{Name: "web", Upstream: web, Group: "photos"}} })
		var failure *quicproxy.FailureError
		eventually(t, "refused", func() bool { return errors.As(node.node.Status(t.Context()).Services[0].Refusal, &failure) })
		if failure.Code != framing.ErrorNotInGroup || failure.Advice == "" || asked.Load() != 0 {
			t.Errorf("%+v, asked %d times", failure, asked.Load())
		}
	})
}
