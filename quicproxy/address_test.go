package quicproxy_test

import (
	"context"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/admission"
)

// family is the nodes that a server knows; it never changes.
type family map[certs.NodeID]bool

func (f family) Admit(_ context.Context, applicant admission.Applicant) (admission.Admission, error) {
	if !f[applicant.Node] {
		return admission.Admission{}, admission.ErrNotAuthorized
	}
	return admission.Admission{Known: true}, nil
}

func (f family) Revision(context.Context) uint64 { return 1 }

// household has some nodes, each with a service called web, and a server that knows them.
type household struct {
	*world
	known  family
	server *running
	keys   []certs.PrivateKey
}

func newHousehold(t *testing.T, w *world, nodes int, ports string) *household {
	h := &household{world: w, known: make(family)}
	for range nodes {
		key := newKey(t)
		h.known[key.ID()] = true
		h.keys = append(h.keys, key)
	}
	h.server = w.startServer(h.settings(t, ports))
	return h
}

func (h *household) settings(t *testing.T, ports string) func(c *ServerConfig) {
	t.Helper()
	r, err := lease.ParsePortRange(ports)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *ServerConfig) { c.Admit, c.Ports = h.known, r }
}

// start starts node number n.
func (h *household) start(n int) *running {
	return h.startNode(expose("web", web), func(c *NodeConfig) { c.Key = h.keys[n] })
}

// visitHome runs a node briefly, and requires it to have that port.
func (h *household) visitHome(t *testing.T, n int, want string) {
	t.Helper()
	node := h.start(n)
	wantAddress(t, node, 1, want)
	node.stop()
	time.Sleep(time.Second)
}

func wantAddress(t *testing.T, node *running, change int, port string) {
	t.Helper()
	if got := node.leases.wait(t, change)[change-1].PublicAddress; got != "tcp://"+serverIP+":"+port {
		t.Errorf("address %q, want port %s", got, port)
	}
}

// TestPortOutlastsLeaseTime: a night without power changes no address, though other nodes came.
func TestPortOutlastsLeaseTime(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		h := newHousehold(t, w, 2, "20000-20100")
		h.visitHome(t, 0, "20000")
		time.Sleep(4 * time.Hour)
		h.visitHome(t, 1, "20001")
		w.crash(h.server)
		h.server = w.startServer(h.settings(t, "20000-20100"))
		time.Sleep(4 * time.Hour)
		h.visitHome(t, 0, "20000")
		if n := w.logged.count("address changed"); n != 0 {
			t.Errorf("%d changes were told", n)
		}
	})
}

// TestLastPortIsGivenAway: when all ports are taken, the node that has been away longest loses its port, and
// both sides are told.
func TestLastPortIsGivenAway(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		h := newHousehold(t, w, 4, "20000-20002")
		h.visitHome(t, 0, "20000")
		h.visitHome(t, 1, "20001")
		h.visitHome(t, 2, "20002")
		time.Sleep(4 * time.Hour)
		last := h.start(3)
		wantAddress(t, last, 1, "20000")
		h.visitHome(t, 0, "20001") // that of the next one
		const moved = `change="tcp://203.0.113.5:20000 -> tcp://203.0.113.5:20001"`
		const why = `reason="no other port was left for a new service while the node was away"`
		if n := w.logged.count(moved); n != 2 {
			t.Errorf("told %d times, want by both sides", n)
		}
		if n := w.logged.count(why); n != 2 {
			t.Errorf("explained %d times", n)
		}
	})
}

// TestNobodyKeepsPortsOfStrangers: on a server open to all, a lease ends with the lease time, and its port is
// the last to be given away.
func TestNobodyKeepsPortsOfStrangers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.startNode(expose("web", web)).leasesWait(t).stop()
		time.Sleep(time.Second)
		if state := server.server.Status().Leases[0].State(); state != lease.Held {
			t.Errorf("the lease is %s", state)
		}
		time.Sleep(4 * time.Hour)
		if leases := server.server.Status().Leases; len(leases) != 0 {
			t.Errorf("left: %+v", leases)
		}
		wantAddress(t, w.startNode(expose("web", web), func(c *NodeConfig) { c.Key = newKey(t) }), 1, "20001")
		wantAddress(t, w.startNode(expose("web", web)), 1, "20000")
	})
}

// TestRenamedService: the port stays, whether the earlier process ended cleanly or was killed.
func TestRenamedService(t *testing.T) {
	for name, killed := range map[string]bool{"stopped": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer()
				w.serveTCP(web, echo)
				first := w.startNode(expose("web", web), expose("other", "192.168.1.101:81"))
				first.leases.wait(t, 2)
				if killed {
					w.home.Cut()
				}
				first.stop()
				w.home.Restore()
				second := w.startNode(expose("site", web), expose("other", "192.168.1.101:81"))
				wantAddress(t, second, 1, "20000")
				wantAddress(t, second, 2, "20001")
				exchange(t, w.visit("20000"), "hello")
				eventually(t, "the first is forgotten", func() bool { return len(server.server.Status().Sessions) == 1 })
				exchange(t, w.visit("20000"), "hello again")
				if leases := server.server.Status().Leases; len(leases) != 2 || leases[0].Service != "site" || !leases[0].Attached() {
					t.Errorf("leases %+v", leases)
				}
				if w.logged.count("service renamed") != 1 || w.logged.count("address changed") != 0 {
					t.Error("the log does not say so")
				}
			})
		})
	}
}

// TestRenamedServiceWithWantedPort: the port that a service wants was its own, under another name.
func TestRenamedServiceWithWantedPort(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		wants := func(name, upstream string) func(c *NodeConfig) {
			return func(c *NodeConfig) { c.Services = []Service{{Name: name, Upstream: upstream, PublicPort: 20022}} }
		}
		w.startNode(wants("ssh", web)).leasesWait(t).stop()
		wantAddress(t, w.startNode(wants("shell", "192.168.1.101:22")), 1, "20022")
		if w.logged.count("wanted public port is taken") != 0 {
			t.Error("it was taken")
		}
	})
}

// TestRangeChangedIsTold: a running node gets another address, and both sides log that, and why.
func TestRangeChangedIsTold(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		h := newHousehold(t, w, 2, "20000-20100")
		node := h.start(0)
		wantAddress(t, node, 1, "20000")
		h.server.stop()
		h.server = w.startServer(h.settings(t, "30000-30010"))
		wantAddress(t, node, 2, "30000")
		const moved = `change="tcp://203.0.113.5:20000 -> tcp://203.0.113.5:30000"`
		if n := w.logged.count(moved); n != 2 {
			t.Errorf("told %d times, want by both sides", n)
		}
		if n := w.logged.count(`reason="the server's ports are now 30000-30010"`); n != 2 {
			t.Errorf("explained %d times", n)
		}
	})
}

// TestMovesDoNotFillTheLog: a node that keeps wanting other ports is logged as rarely as other news.
func TestMovesDoNotFillTheLog(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAsker(w, &framing.Hello{Instance: 1})
		for i := range uint32(300) {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: 20000 + i}, framing.OpProxyResponse, 0)
			time.Sleep(time.Second)
		}
		if n := w.logged.count(`level=WARN msg="address changed`); n < 2 || n > 20 {
			t.Errorf("%d warnings", n)
		}
	})
}
