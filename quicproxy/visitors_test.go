package quicproxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/node"
)

// admitting exposes an echo service with rules.
func admitting(rules quicproxy.Visitors) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: "web", Upstream: web, Visitors: rules})
	}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// dialFrom connects from a host, to the server.
func dialFrom(t *testing.T, host interface {
	DialTCP(context.Context, string) (net.Conn, error)
}, port string) net.Conn {
	t.Helper()
	c, err := host.DialTCP(t.Context(), net.JoinHostPort(serverIP, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	return c
}

func wantReset(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v was not reset: %v", c.LocalAddr(), err)
	}
}

// TestVisitorNetworks: rules of the node and of the server hold for a port, for a domain with TLS and without, and for
// whom a load balancer names. Node and server count who is refused.
func TestVisitorNetworks(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		balancer := w.net.Host("10.0.0.1")
		server := w.startServer(w.withDomains, func(c *ServerConfig) {
			c.Visitors.Deny = prefixes("192.0.2.128/25")
			c.Balancers = prefixes("10.0.0.1/32")
		})
		w.serveTCP(web, echo)
		w.serveTLS(secureWeb, "photos")
		rules := quicproxy.Visitors{Allow: prefixes("192.0.2.0/24", visitorIP+"/32"), Deny: prefixes("192.0.2.66/32")}
		r := w.startNode(admitting(rules), func(c *NodeConfig) {
			c.Services = append(c.Services, Service{Name: "photos", Upstream: secureWeb, Domain: "photos.example.org", Visitors: rules})
		})
		r.leases.wait(t, 2)
		want := uint64(0)
		for ip, allowed := range map[string]bool{"192.0.2.7": true, "192.0.2.66": false, "192.0.2.129": false, "198.51.100.9": false} {
			host := w.net.Host(ip)
			port, secure, plain, behind := dialFrom(t, host, "20000"), dialFrom(t, host, "443"), dialFrom(t, host, "80"), dialFrom(t, balancer, "20000")
			writeErr(behind, fmt.Sprintf("PROXY TCP4 %s 203.0.113.80 51000 443\r\n", ip))
			writeErr(plain, "GET / HTTP/1.1\r\nHost: photos.example.org\r\n\r\n")
			client := tls.Client(secure, &tls.Config{ServerName: "photos.example.org", InsecureSkipVerify: true})
			if allowed {
				exchange(t, port, "by port")
				exchange(t, client, "by name")
				exchange(t, behind, "behind a balancer")
				if err := wantPrefix(plain, "HTTP/1.1 308"); err != nil {
					t.Error(err)
				}
				continue
			}
			want += 2
			if err := client.Handshake(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s with TLS: %v", ip, err)
			}
			for _, c := range []net.Conn{port, plain, behind} {
				wantReset(t, c)
			}
		}
		for endpoint, traffic := range server.server.Status().Traffic {
			if traffic.Refused != (quicproxy.Refused{Networks: want}) {
				t.Errorf("the server counts %+v at %v", traffic, endpoint)
			}
		}
		for _, s := range nodeStatus(t, r).Services {
			if s.Refused != (quicproxy.Refused{Networks: want}) {
				t.Errorf("the node is told %+v of %s", s.Refused, s.Service)
			}
		}
	})
}

func nodeStatus(t *testing.T, r *running) node.Status {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return r.node.Status(ctx)
}

// TestVisitorBeforeRules: a visitor who came before the server knew the rules, after a restart, is refused when it does.
func TestVisitorBeforeRules(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		rules := admitting(quicproxy.Visitors{Deny: prefixes(visitorIP + "/32")})
		r := w.startNode(rules)
		r.leases.wait(t, 1)
		wantReset(t, w.visit("20000"))
		r.stop()
		server.stop()
		w.startServer() // with the lease, which is held
		early, friend := w.visit("20000"), dialFrom(t, w.net.Host("198.51.100.8"), "20000")
		time.Sleep(time.Second)
		w.startNode(rules).leases.wait(t, 1)
		wantReset(t, early)
		exchange(t, friend, "hello")
	})
}

// TestRulesAskedAgain: a node changes its rules by asking again, for visitors from then on.
func TestRulesAskedAgain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAttacker(w, 1, true)
		ask := func(rules *framing.VisitorRules) {
			t.Helper()
			if err := a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Movable: true, Visitors: rules}); err != nil {
				t.Fatal(err)
			}
			a.wantReply(a.nonce, framing.OpProxyResponse, 0)
		}
		arrives := func() {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := a.conn.AcceptStream(ctx); err != nil {
				t.Errorf("a visitor does not arrive: %v", err)
			}
		}
		first := w.visit("20000")
		arrives()
		ask(&framing.VisitorRules{Deny: []string{"198.51.100.0/24"}})
		wantReset(t, w.visit("20000"))
		first.SetDeadline(time.Now().Add(time.Second))
		if _, err := first.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) {
			t.Error("new rules ended a connection")
		}
		ask(nil)
		w.visit("20000")
		arrives()
	})
}

// TestBadVisitorRules: rules that are malformed, too many or need what the server does not have are refused, and cost
// and change nothing.
func TestBadVisitorRules(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAttacker(w, 1, true)
		many := make([]string, 5000)
		for name, test := range map[string]struct {
			rules *framing.VisitorRules
			code  framing.ErrorCode
		}{
			"malformed":  {&framing.VisitorRules{Deny: []string{"192.0.2.0/33"}}, framing.ErrorBadRequest},
			"too many":   {&framing.VisitorRules{Allow: many}, framing.ErrorBadRequest},
			"a country":  {&framing.VisitorRules{AllowCountries: []string{"Germany"}}, framing.ErrorBadRequest},
			"countries":  {&framing.VisitorRules{AllowCountries: []string{"DE"}}, framing.ErrorNoCountries},
			"too little": {&framing.VisitorRules{BytesOut: 1}, framing.ErrorBadRequest},
		} {
			if err := a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Visitors: test.rules}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			a.wantReply(a.nonce, framing.OpFailure, test.code)
		}
		w.visit("20000")
		if _, err := a.conn.AcceptStream(t.Context()); err != nil {
			t.Errorf("the service is no longer public: %v", err)
		}
		million := make([]string, 1_000_000)
		if err := a.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Visitors: &framing.VisitorRules{Deny: million}}); err == nil {
			<-a.conn.Context().Done()
		}
	})
}

// TestVisitorCountries: where the server knows countries, rules about them hold; where not, the node's owner is told.
func TestVisitorCountries(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		rules := admitting(quicproxy.Visitors{AllowCountries: []string{"DE"}})
		r := w.startNode(rules)
		eventually(t, "refused", func() bool { return nodeStatus(t, r).Services[0].Refusal != nil })
		if got, want := nodeStatus(t, r).Services[0].Refusal.Error(), "this server does not know the countries of addresses"; got != want {
			t.Errorf("the node is told %q, want %q", got, want)
		}
		if w.logged.count("--countries FILE") == 0 {
			t.Error("nobody is told what to do")
		}
		server.stop()
		w.startServer(func(c *ServerConfig) {
			c.Country = func(a netip.Addr) string { return map[string]string{visitorIP: "DE"}[a.String()] }
		})
		r.leases.wait(t, 1)
		exchange(t, w.visit("20000"), "hello")
		wantReset(t, dialFrom(t, w.net.Host("198.51.100.8"), "20000"))
		if got := nodeStatus(t, r).Services[0].Refused; got != (quicproxy.Refused{Countries: 1}) {
			t.Errorf("the node is told %+v", got)
		}
	})
}

// TestVisitorLimits: connections at once and per second are limited for each address, and its networks.
func TestVisitorLimits(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		r := w.startNode(admitting(quicproxy.Visitors{PerAddress: 3, Rate: 10}))
		r.leases.wait(t, 1)
		var kept []net.Conn
		for range 5 {
			kept = append(kept, w.visit("20000"))
		}
		for i, c := range kept {
			if i < 3 {
				exchange(t, c, "hello")
			} else {
				wantReset(t, c)
			}
		}
		for _, c := range kept {
			c.Close()
		}
		time.Sleep(time.Minute)
		begin, admitted := time.Now(), 0
		for time.Since(begin) < 10*time.Second {
			time.Sleep(20 * time.Millisecond)
			c := w.visit("20000")
			writeErr(c, "x")
			if n, _ := c.Read(make([]byte, 1)); n == 1 {
				admitted++
			}
			c.Close()
		}
		seconds := time.Since(begin).Seconds()
		if most := 10*seconds + 20; float64(admitted) > most || float64(admitted) < most-3 {
			t.Errorf("%d connections in %g s, want %g", admitted, seconds, most)
		}
		refused := server.server.Status().Traffic
		for _, traffic := range refused {
			if traffic.Refused.Connections != 2 || traffic.Refused.Rate == 0 {
				t.Errorf("counted: %+v", traffic.Refused)
			}
		}
		exchange(t, dialFrom(t, w.net.Host("192.0.2.200"), "20000"), "somebody else")
	})
}

// TestVisitorFlood: thousands of connections per second from one address, or from a /48, get no more than a few times
// what an address may have, are counted, keep nobody else out, and do not fill the log.
func TestVisitorFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const rate, flood = 10, 2000
		server := w.startServer(func(c *ServerConfig) { c.Balancers = prefixes("10.0.0.1/32") })
		w.serveTCP(web, echo)
		w.startNode(admitting(quicproxy.Visitors{Rate: rate})).leases.wait(t, 1)
		balancer, friend := w.net.Host("10.0.0.1"), w.net.Host("192.0.2.200")
		relays := func() int { return int(server.server.Status().Counters.Relays) }
		told := w.logged.told()
		for name, test := range map[string]struct {
			connect func(i int)
			most    int
		}{
			"an address": {func(int) { dialFrom(t, w.visitor, "20000").Close() }, 2 * rate},
			"a /48": {func(i int) {
				c := dialFrom(t, balancer, "20000")
				writeErr(c, fmt.Sprintf("PROXY TCP6 2001:db8:0:%x::1 2001:db8::5 51000 443\r\n", i))
				c.Close()
			}, 4 * 2 * rate},
		} {
			before := relays()
			for i := range flood {
				test.connect(i)
				if i%100 == 99 {
					time.Sleep(10 * time.Millisecond) // so that they come: 10,000 a second
				}
			}
			c := dialFrom(t, friend, "20000")
			exchange(t, c, "somebody else")
			c.Close()
			time.Sleep(time.Second)
			if n := relays() - before; n < test.most/2 || n > test.most*5/4+1 {
				t.Errorf("%s had %d of %d connections, want %d", name, n, flood, test.most)
			}
		}
		for _, traffic := range server.server.Status().Traffic {
			if traffic.Refused.Rate < 2*flood*9/10 {
				t.Errorf("counted: %+v", traffic.Refused)
			}
		}
		if n := w.logged.told() - told; n > 100 {
			t.Errorf("%d lines were logged", n)
		}
	})
}

// TestServerWithoutRules: a service with rules is not asked for at a server that would ignore them.
func TestServerWithoutRules(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		requests := fakeServer(w, &framing.Welcome{ObservedAddress: natIP + ":1"})
		r := w.startNode(admitting(quicproxy.Visitors{PerAddress: 1}))
		eventually(t, "refused", func() bool { return nodeStatus(t, r).Services[0].Refusal != nil })
		if got := nodeStatus(t, r).Services[0].Refusal.Error(); got != "this version of the server lets everybody visit" {
			t.Error(got)
		}
		time.Sleep(time.Hour)
		if n := requests(framing.OpProxyRequest); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}
