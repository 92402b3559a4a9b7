package quicproxy_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/rules"
)

// byRule is a limit that a rule sets.
func byRule[T any](value T) rules.Limit[T] { return rules.Limit[T]{Value: value, By: "guests"} }

// guests are the settings of a server with a rule for some nodes.
func guests(limits rules.Limits, nodes ...string) func(*ServerConfig) {
	return func(c *ServerConfig) { c.Rules = rules.Rules{{Name: "guests", Nodes: nodes, Limits: limits}} }
}

func portsOf(t *testing.T, text string) rules.Limit[lease.PortRange] {
	t.Helper()
	ports, err := lease.ParsePortRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return byRule(ports)
}

// refused waits until the server refuses a service of a node, and returns why.
func (r *running) refused(t *testing.T, service string) *quicproxy.FailureError {
	t.Helper()
	var failure *quicproxy.FailureError
	eventually(t, service+" refused", func() bool {
		for _, s := range r.node.Status(t.Context()).Services {
			if s.Service == service && errors.As(s.Refusal, &failure) {
				return true
			}
		}
		return false
	})
	return failure
}

// TestRulesRefuse: what a rule does not allow is refused, and both sides name the rule.
func TestRulesRefuse(t *testing.T) {
	for name, test := range map[string]struct {
		limits func(*testing.T) rules.Limits
		expose func(*NodeConfig)
		want   string
	}{
		"port":     {func(t *testing.T) rules.Limits { return rules.Limits{Ports: portsOf(t, "20005-20006")} }, exposeAt("web", tagA, 20001), "may not have the public port 20001, only: 20005-20006"},
		"no ports": {func(*testing.T) rules.Limits { return rules.Limits{Ports: byRule(lease.PortRange{})} }, expose("web", tagA), "no public ports"},
		"full":     {func(t *testing.T) rules.Limits { return rules.Limits{Ports: portsOf(t, "30000")} }, expose("web", tagA), "no public port is left"},
		"protocol": {func(*testing.T) rules.Limits { return rules.Limits{Protocols: byRule([]string{rules.UDP})} }, expose("web", tagA), "no services over TCP"},
		"expired":  {func(*testing.T) rules.Limits { return rules.Limits{Expires: byRule(time.Now())} }, expose("web", tagA), "no services since"},
		"private":  {func(*testing.T) rules.Limits { return rules.Limits{Expires: byRule(time.Now())} }, func(c *NodeConfig) { c.Services = []Service{{Name: "web", Upstream: tagA, Private: true}} }, "no services since"},
		"domain":   {func(*testing.T) rules.Limits { return rules.Limits{Domains: byRule([]string{"*.example.net"})} }, exposeDomain("web", plainWeb, "www.example.org"), "may not have the domain www.example.org, only: *.example.net"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.startServer(guests(test.limits(t), w.nodeKey.ID().String()))
				node := w.startNode(test.expose)
				failure := node.refused(t, "web")
				if failure.Code != framing.ErrorNotAllowed || !strings.Contains(failure.Text, test.want) || !strings.Contains(failure.Text, `rule "guests"`) || !strings.Contains(failure.Advice, "explain") {
					t.Errorf("%+v", failure)
				}
				if w.logged.count(`request refused`) == 0 || w.logged.count(`rule \"guests\"`) < 2 {
					t.Error("the rule is not in the logs of both sides")
				}
			})
		})
	}
}

// exposeAt wants a public port.
func exposeAt(name, upstream string, port uint16) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: name, Upstream: upstream, PublicPort: port})
	}
}

// TestRulesAllow: a rule gives a node more services than others have, at ports of its own; it holds for those whom it names.
func TestRulesAllow(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer(func(c *ServerConfig) { c.MaxServices = 1 }, guests(rules.Limits{Ports: portsOf(t, "20007-20008"), MaxServices: byRule(2)}, w.nodeKey.ID().String()))
		node := w.startNode(expose("a", tagA), expose("b", tagA), expose("c", tagA))
		node.leases.wait(t, 2)
		failure := node.refused(t, "c")
		if failure.Code != framing.ErrorNotAllowed || !strings.Contains(failure.Text, "may not have more than 2") || !strings.Contains(failure.Text, `rule "guests"`) {
			t.Errorf("%+v", failure)
		}
		ports := map[uint16]bool{}
		for _, l := range server.server.Status().Leases {
			ports[l.Port] = true
		}
		if len(ports) != 2 || !ports[20007] || !ports[20008] {
			t.Errorf("the node has %v", ports)
		}
		other := newKey(t)
		second := w.startNode(func(c *NodeConfig) { c.Key = other }, expose("a", tagA))
		if l := second.leases.wait(t, 1)[0]; !strings.HasSuffix(l.PublicAddress, ":20000") {
			t.Errorf("another node has %s", l.PublicAddress)
		}
	})
}

// TestRulesFollow: rules change while a relay runs, which goes on; new visitors, and whoever asks again, find the new ones.
func TestRulesFollow(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		server := w.startServer()
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		id := w.nodeKey.ID().String()
		first := w.visit("20000")
		tag := make([]byte, 2)
		if _, err := io.ReadFull(first, tag); err != nil {
			t.Fatal(err)
		}
		server.follow(t, guests(rules.Limits{MaxClients: byRule(1)}, id))
		if !w.refusedVisit("20000") || w.logged.count(`as many clients as it may have (rule \"guests\")`) == 0 {
			t.Error("a second client is there, or nobody knows why not")
		}
		server.follow(t, guests(rules.Limits{MaxClientRate: byRule(1)}, id))
		fast := 0
		for range 5 {
			if w.refusedVisit("20000") {
				fast++
			}
		}
		if fast == 0 || w.logged.count(`to this service (rule \"guests\")`) == 0 {
			t.Errorf("%d of 5 came too fast", fast)
		}
		server.follow(t, guests(rules.Limits{MaxClients: byRule(1)}, "another"))
		if w.refusedVisit("20000") {
			t.Error("the rule of another node holds")
		}
		server.follow(t, guests(rules.Limits{Protocols: byRule([]string{rules.UDP})}, id))
		if !w.refusedVisit("20000") {
			t.Error("a service that is not allowed has visitors")
		}
		exchange(t, first, "still here")
		server.follow(t, func(*ServerConfig) {})
		server.server.Kick(w.nodeKey.ID())
		eventually(t, "without rules a visitor is welcome", func() bool { return !w.refusedVisit("20000") })
		bad := ServerConfig{Rules: rules.Rules{{Name: "bad"}}, MaxServices: 1}
		if err := server.server.Follow(bad); err == nil {
			t.Error("a bad rule is followed")
		}
	})
}

// TestRuleDecidesRelays: a node to which a rule gives more clients than the settings do can carry them all, and is told
// so; one to which it gives less still has the relays of the settings, for groups, which are not its own.
func TestRuleDecidesRelays(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		// One client of a service, two of a node, four relays; but what a rule says.
		few := func(limits rules.Limits, node string) func(*ServerConfig) {
			return func(c *ServerConfig) { c.MaxClients = 1; guests(limits, node)(c) }
		}
		server := w.startServer(func(c *ServerConfig) { c.MaxClients = 1 })
		node := w.startNode(expose("a", tagA), expose("b", tagA))
		node.leases.wait(t, 2)
		server.follow(t, few(rules.Limits{MaxClients: byRule(10)}, w.nodeKey.ID().String()))
		for i := range 20 {
			c := w.visit([]string{"20000", "20001"}[i%2])
			if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
				t.Fatalf("visitor %d of 20: %v", i+1, err)
			}
		}
		node.stop()
		for clients, want := range map[int]uint32{1: 4, 10: 40, 100: 400} {
			server.follow(t, few(rules.Limits{MaxClients: byRule(clients)}, w.nodeKey.ID().String()))
			p := dialServer(w)
			p.write(seal(t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
			var welcome framing.Welcome
			if err := p.wantReply(1, framing.OpWelcome, 0).Decode(&welcome); err != nil || welcome.GetLimits().GetMaxRelays() != want {
				t.Errorf("with %d clients %v (%v), want %d relays", clients, welcome.Limits, err, want)
			}
		}
	})
}

// TestRuleExpires: when the time of a node is over its services get no new visitors; what runs goes on.
func TestRuleExpires(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveTagged(tagA, "A")
		w.startServer(guests(rules.Limits{Expires: byRule(time.Now().Add(time.Hour))}, "*"))
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		first := w.visit("20000")
		if _, err := io.ReadFull(first, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		if w.refusedVisit("20000") {
			t.Error("refused in time")
		}
		time.Sleep(11 * time.Minute)
		first.SetDeadline(time.Now().Add(time.Minute))
		if !w.refusedVisit("20000") || w.logged.count("the node may no longer offer a service") != 1 {
			t.Error("not refused, or nobody knows why")
		}
		exchange(t, first, "still here")
		node.stop()
		node = w.startNode(expose("web", tagA))
		if failure := node.refused(t, "web"); !strings.Contains(failure.Text, `rule "guests"`) {
			t.Errorf("%+v", failure)
		}
	})
}

// TestRuleHoldsPort: a rule keeps the port of a node that is away for longer, and the node is told.
func TestRuleHoldsPort(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.LeaseTime = time.Minute }, guests(rules.Limits{LeaseTime: byRule(time.Hour)}, w.nodeKey.ID().String()))
		node := w.startNode(expose("web", tagA))
		node.leases.wait(t, 1)
		node.stop()
		time.Sleep(30 * time.Minute)
		if left := server.server.Status().Leases; len(left) != 1 {
			t.Errorf("after half an hour there are %v", left)
		}
		time.Sleep(31 * time.Minute)
		if left := server.server.Status().Leases; len(left) != 0 {
			t.Errorf("after an hour there are %v", left)
		}
	})
}

// TestBadRulesNoServer: a server does not start with rules that cannot be.
func TestBadRulesNoServer(t *testing.T) {
	t.Parallel()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := NewServer(ServerConfig{Key: key, PacketConn: socket, Rules: rules.Rules{{Name: "settings"}}}); err == nil || !strings.Contains(err.Error(), `rule "settings"`) {
		t.Errorf("%v", err)
	}
}
