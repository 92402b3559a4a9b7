package quicproxy_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/quicproxy"
)

// set makes these the services of a node, which must take them.
func (r *running) set(t *testing.T, services ...Service) {
	t.Helper()
	if err := r.node.SetServices(services); err != nil {
		t.Fatal(err)
	}
}

// address is where a service is now, or why nowhere.
func (r *running) address(t *testing.T, service string) string {
	t.Helper()
	for _, s := range r.node.Status(t.Context()).Services {
		if s.Service == service && s.Refusal != nil {
			return s.Refusal.Error()
		} else if s.Service == service {
			return s.PublicAddress
		}
	}
	return "there is no such service"
}

// wantAddress waits for a service to be somewhere.
func (r *running) wantAddress(t *testing.T, service, want string) {
	t.Helper()
	got := ""
	for range 50 {
		if got = r.address(t, service); strings.Contains(got, want) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s is at %s, want %s", service, got, want)
}

const tagA, tagB = "192.168.1.101:8001", "192.168.1.101:8002"

// TestServiceBecomesAnother: a running node's service takes another port, gets rules, becomes private, a domain, one
// over UDP, and an ordinary one again; each time what ran before runs on, and only what the server must hear is said.
func TestServiceBecomesAnother(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.serveTagged(tagB, "B")
		w.serveUDP(tagA)
		w.startServer(w.withDomains)
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		first := w.visit("20000")
		goesOn := func() {
			t.Helper()
			exchange(t, first, "still here")
		}
		if _, err := io.ReadFull(first, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		web := func(change func(*Service)) Service {
			s := Service{Name: "web", Upstream: tagB}
			change(&s)
			return s
		}
		node.set(t, web(func(s *Service) { s.PublicPort = 20007 }))
		node.wantAddress(t, "web", "tcp://203.0.113.5:20007")
		if got := w.upstreamOf("20007"); got != "B" {
			t.Errorf("the upstream is %s", got)
		}
		goesOn()
		visitor := netip.MustParsePrefix(visitorIP + "/32")
		node.set(t, web(func(s *Service) { s.Visitors = quicproxy.Visitors{Deny: []netip.Prefix{visitor}} }))
		node.wantAddress(t, "web", "tcp://203.0.113.5:20007") // a port that it has is one of any
		time.Sleep(time.Second)
		if err := wantRead(w.visit("20007"), "", nil); err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("a client who may not visit: %v", err)
		}
		goesOn()
		node.set(t, web(func(s *Service) { s.Private = true }))
		node.wantAddress(t, "web", "private:")
		goesOn()
		node.set(t, web(func(s *Service) { s.Domain, s.TLS = "www.example.org", 1 }))
		node.wantAddress(t, "web", "https://www.example.org")
		goesOn()
		node.set(t, web(func(s *Service) { s.Upstream = "udp://" + tagA }))
		node.wantAddress(t, "web", "udp://203.0.113.5:20")
		goesOn()
		node.set(t, web(func(*Service) {}), Service{Name: "other", Upstream: tagA})
		node.wantAddress(t, "web", "tcp://203.0.113.5:20")
		node.wantAddress(t, "other", "tcp://203.0.113.5:20")
		goesOn()
	})
}

// TestServicesWithMistake: services of which one cannot be change nothing.
func TestServicesWithMistake(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		listener, err := node.node.Listen(t.Context(), "own")
		if err != nil {
			t.Fatal(err)
		}
		for what, services := range map[string][]Service{
			"upstream": {{Name: "new", Upstream: tagB}, {Name: "web", Upstream: "nowhere"}},
			"name":     {{Name: "new", Upstream: tagB}, {Name: "Web!", Upstream: tagB}},
			"twice":    {{Name: "web", Upstream: tagB}, {Name: "web", Upstream: tagA}},
			"taken":    {{Name: "web", Upstream: tagB}, {Name: "own", Upstream: tagA}},
			"health":   {{Name: "web", Upstream: tagB, Health: "often"}},
			"canary":   {{Name: "web", Upstream: "socks5:", Networks: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}, Canary: time.Minute}},
		} {
			if err := node.node.SetServices(services); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		time.Sleep(time.Second)
		if got := w.upstreamOf("20000"); got != "A" || len(node.node.Status(t.Context()).Services) != 2 {
			t.Errorf("the upstream is %s, of %+v", got, node.node.Status(t.Context()).Services)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestServicesChangeWhileAway: what changes while the server is away, or a connection is being replaced, is what there
// is afterwards; a renamed service still has its port.
func TestServicesChangeWhileAway(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.serveTagged(tagB, "B")
		server := w.startServer()
		node := w.startNode(expose("web", tagA), expose("gone", tagB))
		node.leases.wait(t, 2)
		w.crash(server)
		node.set(t, Service{Name: "renamed", Upstream: tagA}, Service{Name: "new", Upstream: tagB, PublicPort: 20009})
		time.Sleep(3 * time.Second)
		w.startServer()
		node.wantAddress(t, "renamed", ":20000")
		node.wantAddress(t, "new", ":20009")
		if got := w.upstreamOf("20000") + w.upstreamOf("20009"); got != "AB" {
			t.Errorf("they are %s", got)
		}
		w.nat.Rebind()
		node.set(t, Service{Name: "renamed", Upstream: tagB})
		time.Sleep(10 * time.Second)
		if got := w.upstreamOf("20000"); got != "B" {
			t.Errorf("after the rebinding it is %s", got)
		}
	})
}

// TestServicesChangeTooOften: a file that changes all the time does not make the node ask the server for more than it
// takes, each service gets its turn, and in the end there is what the last one says.
func TestServicesChangeTooOften(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.serveTagged(tagB, "B")
		w.startServer()
		node := w.startNode(expose("s0", tagA))
		node.leases.wait(t, 1)
		var all []Service
		for i := range 600 {
			all = nil
			for k := range 8 {
				all = append(all, Service{Name: fmt.Sprint("s", k), Upstream: []string{tagA, tagB}[(i+k)%2]})
			}
			if i%3 == 0 {
				all = all[:5]
			}
			node.set(t, all...)
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for _, s := range all {
			address := node.address(t, s.Name)
			_, port, _ := strings.Cut(address, serverIP+":")
			if got := w.upstreamOf(port); (got == "A") != (s.Upstream == tagA) {
				t.Errorf("%s is at %s", s.Name, got)
			}
		}
		if n := w.logged.count("request refused"); n != 0 {
			t.Errorf("the server refused %d requests", n)
		}
	})
}

// TestServicesChangeAtOnce: changes from several sides at once, while the path of the connection changes, leave one
// of them, and lose no relay.
func TestServicesChangeAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.serveTagged(tagB, "B")
		server := w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		c := w.visit("20000")
		var working sync.WaitGroup
		working.Go(func() {
			if name, err := transfer(c, 1, 16<<10); err != nil || name != "A" {
				t.Errorf("%s, %v", name, err)
			}
		})
		for i := range 4 {
			working.Go(func() {
				for k := range 10 {
					services := []Service{{Name: "web", Upstream: []string{tagA, tagB}[k%2], Health: []string{"", "tcp"}[i%2]}, {Name: fmt.Sprint("s", i), Upstream: tagA}}
					if err := node.node.SetServices(services[:1+k%2]); err != nil {
						t.Error(err)
					}
					if i == 0 && k%3 == 0 {
						w.nat.Rebind()
					}
					time.Sleep(time.Duration(500+100*i) * time.Millisecond)
				}
			})
		}
		working.Wait()
		node.set(t, Service{Name: "web", Upstream: tagB})
		time.Sleep(time.Minute)
		if got := w.upstreamOf("20000"); got != "B" {
			t.Errorf("it is %s", got)
		}
		node.stop()
		if left := nodeLeftovers(node.node, false); left != "" {
			t.Error(left)
		}
		server.stop()
	})
}

// TestFlowsOfMovedService: what clients over UDP send goes on to the former upstream for as long as that answers, and
// then to the new one.
func TestFlowsOfMovedService(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		stop := w.serveUDP(tagA)
		w.serveUDP(tagB)
		w.startServer()
		node := w.startNode(expose("game", "udp://"+tagA))
		node.leases.wait(t, 1)
		c := w.visitUDP(20000)
		before := c.ask("one")
		node.set(t, Service{Name: "game", Upstream: "udp://" + tagB})
		for range 20 {
			time.Sleep(time.Second)
			if from := c.ask("again"); from != before {
				t.Fatal("the flow has moved while its upstream answers")
			}
		}
		if from := w.visitUDP(20000).ask("new"); from == before {
			t.Error("a new client has the socket of another one")
		}
		stop()
		begin := time.Now()
		if from := c.ask("away"); from == before {
			t.Error("it is asked from the same socket")
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it moved after %v", took)
		}
	})
}

// TestAcceptedServiceChanges: who accepts the connections of a service goes on with the same listener when the service
// changes, and none of them is lost.
func TestAcceptedServiceChanges(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(w.withDomains)
		web := Service{Name: "web", Upstream: plainWeb, Domain: "www.example.org", PlainHTTP: true, Accept: true, AcceptCost: 1 << 10}
		node := w.startNode(func(c *NodeConfig) { c.Services = []Service{web} })
		node.leases.wait(t, 1)
		listener := node.node.Listener("web")
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					io.WriteString(c, "HTTP")
					io.Copy(io.Discard, c)
					c.Close()
				}()
			}
		}()
		var visiting sync.WaitGroup
		for i := range 100 {
			if i%10 == 0 {
				web.AcceptCost++
				node.set(t, web)
			}
			visiting.Go(func() {
				c := w.visit("80")
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
				if err := wantPrefix(c, "HTTP"); err != nil {
					t.Error(err)
				}
				c.Close()
			})
			time.Sleep(7 * time.Millisecond)
		}
		visiting.Wait()
		if node.node.Listener("web") != listener || listener.Addr().String() != "www.example.org" {
			t.Errorf("there is another listener than that at %v", listener.Addr())
		}
		web.Accept = false
		node.set(t, web)
		if _, err := listener.Accept(); err == nil || node.node.Listener("web") != nil {
			t.Error("the listener is left")
		}
	})
}

// TestHealthOfChangedService: a service is checked as its new settings say, and no longer as the former ones; one that
// becomes sick or well by its change gets clients accordingly.
func TestHealthOfChangedService(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		node.set(t, Service{Name: "web", Upstream: tagB, Health: "tcp"}) // nothing listens there
		time.Sleep(30 * time.Second)
		if !w.refusedVisit("20000") || !node.node.Status(t.Context()).Services[0].Unhealthy {
			t.Error("a service that was never well has clients")
		}
		if err := node.node.SetServices([]Service{{Name: "web", Upstream: tagA}, {Name: "web", Upstream: tagA}}); err == nil {
			t.Error("two of one name")
		}
		w.serveTagged(tagB, "B")
		time.Sleep(30 * time.Second) // it is still checked
		if got := w.upstreamOf("20000"); got != "B" {
			t.Errorf("the upstream is %s", got)
		}
		node.set(t, Service{Name: "web", Upstream: tagA})
		time.Sleep(30 * time.Second)
		if got := w.upstreamOf("20000"); got != "A" || node.node.Status(t.Context()).Services[0].Unhealthy {
			t.Errorf("the upstream is %s", got)
		}
		node.set(t)
		time.Sleep(30 * time.Second)
		if n := w.logged.count("the service is unhealthy"); n != 1 || !w.refusedVisit("20000") {
			t.Errorf("it was unhealthy %d times, or a removed service has clients", n)
		}
	})
}
