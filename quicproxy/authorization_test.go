package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/admission"
)

// gatekeeper is a server's files in a directory of their own.
type gatekeeper struct {
	t           *testing.T
	path        string
	nodes       *certs.AuthorizedNodes
	invitations *certs.Invitations
}

func newGatekeeper(t *testing.T) *gatekeeper {
	directory := t.TempDir()
	path := directory + "/authorized_nodes"
	return &gatekeeper{t, path, certs.NewAuthorizedNodes(path), certs.NewInvitations(directory + "/invitations")}
}

// admit makes a server use the files.
func (g *gatekeeper) admit(open bool) func(*ServerConfig) {
	return func(c *ServerConfig) {
		c.Admit = admission.New(admission.Config{Nodes: g.nodes, Invitations: g.invitations, Open: open, Log: c.Log})
	}
}

// write makes lines the content of the list, as an editor does.
func (g *gatekeeper) write(lines ...string) {
	g.t.Helper()
	if err := os.WriteFile(g.path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gatekeeper) read() string {
	g.t.Helper()
	content, err := os.ReadFile(g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(content)
}

func (g *gatekeeper) invite(offer certs.OpenInvitation) (secret []byte) {
	g.t.Helper()
	offer.Expires = time.Now().Add(time.Hour)
	offer, secret, err := g.invitations.Create(offer, func(string) bool { return false })
	if err != nil {
		g.t.Fatal(err)
	}
	return secret
}

func with(key certs.PrivateKey, secret []byte) func(*NodeConfig) {
	return func(c *NodeConfig) { c.Key, c.JoinSecret = key, secret }
}

// TestNotAuthorized: a stranger is refused, both sides are told how to let it in, and that works.
func TestNotAuthorized(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		node := w.startNode(expose("web", web))
		id := w.nodeKey.ID().String()
		eventually(t, "told", func() bool {
			return w.logged.count("command=\"apquic-server allow "+id) == 1 && w.logged.count("reason=\"this node is not authorized: "+id) == 1
		})
		time.Sleep(5 * time.Minute)
		if n := w.logged.count("level=WARN"); n != 2 {
			t.Errorf("%d warnings, want one on each side", n)
		}
		if next := regexp.MustCompile(`next try in (3\d|4\d|5\d|60?)(s|m0s)"`); !next.MatchString(w.logged.String()) {
			t.Error("the node does not say when it tries again")
		}
		g.write(id + " shed-pi")
		node.leases.wait(t, 1)
		if w.logged.count("msg=lease side=server node="+id[:8]+"… name=shed-pi") != 1 {
			t.Error("the node's name is not in the log")
		}

		wrong := w.startNode(expose("web", web), with(newKey(t), []byte("guessed")))
		eventually(t, "refused", func() bool { return w.logged.count("its invitation was used up or withdrawn, or has expired") > 0 })
		wrong.stop()
		if len(server.server.Status().Sessions) != 1 {
			t.Error("another node is in")
		}
	})
}

// TestInvited: an invitation admits as many nodes as it says, each with its name, and is useless afterwards.
func TestInvited(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 2, Port: 20022})
		first := w.startNode(expose("ssh", web), expose("web", web), with(w.nodeKey, secret))
		leases := first.leases.wait(t, 2)
		if got := leases[0].PublicAddress; got != "tcp://203.0.113.5:20022" {
			t.Errorf("the first service has %s, the invitation says 20022", got)
		}
		second := newKey(t)
		w.startNode(expose("web", web), with(second, secret)).leases.wait(t, 1)
		third := w.startNode(expose("web", web), with(newKey(t), secret))
		eventually(t, "refused", func() bool { return w.logged.count("its invitation was used") > 0 })
		third.stop()
		if n := len(server.server.Status().Sessions); n != 2 {
			t.Errorf("%d nodes are in", n)
		}
		list := g.read()
		for id, name := range map[certs.NodeID]string{w.nodeKey.ID(): "pi", second.ID(): "pi-2"} {
			if !strings.Contains(list, id.String()+" "+name+" joined=2000-01-01T") {
				t.Errorf("%s is not called %s in\n%s", id, name, list)
			}
		}
		for _, line := range []string{`msg="node connected" .* id=`, "msg=audit .*event=join id="} {
			if !regexp.MustCompile(line + second.ID().String()).MatchString(w.logged.String()) {
				t.Errorf("no line %s with the whole id", line)
			}
		}
		if n := w.logged.count("msg=audit"); w.logged.count("event=join") != 2 {
			t.Errorf("%d audit lines, and not 2 of them joins", n)
		}
	})
}

// TestSentAway: a removed line, or a denial, ends the session within 2 s, with its lanes and relays. No other
// node gets the ports, the invitation does not help the node, and others are unaffected.
func TestSentAway(t *testing.T) {
	for name, edit := range map[string]func(g *gatekeeper, gone, other string){
		"removed": func(g *gatekeeper, _, other string) { g.write(other + " neighbour") },
		"denied":  func(g *gatekeeper, gone, other string) { g.write(gone+" pi", other+" neighbour", "-"+gone+" sold") },
		"empty":   func(g *gatekeeper, _, _ string) { g.write() },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				server := w.startServer(g.admit(false))
				secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 50})
				w.serveTCP(web, echo)
				node := w.startNode(expose("web", web), with(w.nodeKey, secret))
				node.leases.wait(t, 1)
				otherKey := newKey(t)
				other := w.startNode(expose("web", web), with(otherKey, secret))
				other.leases.wait(t, 1)
				visitor, neighbour := w.visit("20000"), w.visit("20001")
				exchange(t, visitor, "hello")
				exchange(t, neighbour, "hello")
				lane := laneOf(t, w, node)
				time.Sleep(time.Minute) // the file has not changed for long

				edit(g, w.nodeKey.ID().String(), otherKey.ID().String())
				changed := time.Now()
				if _, err := io.ReadAll(visitor); err == nil {
					t.Error("the relay ended in order")
				}
				if took := time.Since(changed); took > 2*time.Second {
					t.Errorf("its relay ended after %v", took)
				}
				lane.wantClose(framing.ErrorNotAuthorized)
				if took := time.Since(changed); took > 2*time.Second+50*time.Millisecond { // on the way
					t.Errorf("its lane ended after %v", took)
				}
				for _, s := range server.server.Status().Sessions {
					if s.Node == w.nodeKey.ID() {
						t.Errorf("it is still there: %+v", s)
					}
				}
				if name != "empty" {
					exchange(t, neighbour, "still here")
				}
				c, err := w.visitor.DialTCP(t.Context(), serverIP+":20000")
				if err == nil {
					c.Close()
					t.Error("its port is open")
				}
				time.Sleep(10 * time.Minute) // it tries again and again
				for _, s := range server.server.Status().Sessions {
					if s.Node == w.nodeKey.ID() {
						t.Errorf("it is back: %+v", s)
					}
				}
				held := leaseOn(t, server, 20000)
				if held.Node != w.nodeKey.ID() || time.Until(held.HeldUntil) < lease.ReserveTime-time.Hour {
					t.Errorf("its port: %+v", held)
				}

				// A node that wants the port gets another one, and the first has it again once it is allowed.
				late := w.startNode(func(c *NodeConfig) {
					c.Services = []Service{{Name: "web", Upstream: web, PublicPort: 20000}}
				}, with(newKey(t), secret))
				if got := late.leases.wait(t, 1)[0]; strings.HasSuffix(got.PublicAddress, ":20000") {
					t.Errorf("another node has %s", got.PublicAddress)
				}
				g.write(w.nodeKey.ID().String() + " pi")
				eventually(t, "back", func() bool { return leaseOn(t, server, 20000).Attached() })
			})
		})
	}
}

// TestSentAwayAtHome: the node's side of its relays ends, too, even of resumed ones, as soon as it learns of
// it: when its connection closes or, if it was cut off, when it is refused.
func TestSentAwayAtHome(t *testing.T) {
	for name, cut := range map[string]time.Duration{"connected": 0, "cut off": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				w.startServer(g.admit(false))
				ended := make(chan time.Time, 2)
				w.serveTCP(web, func(c net.Conn) {
					echo(c)
					ended <- time.Now()
				})
				g.write(w.nodeKey.ID().String() + " pi")
				node := w.startNode(expose("web", web)).leasesWait(t)
				visitor := w.visit("20000")
				exchange(t, visitor, "hello")
				for _, m := range node.node.Inspect().Conn.Relays.All() {
					m.Lost(&node.node.Inspect().Conn.Carrier) // it moves
				}
				exchange(t, visitor, "moved")
				second := w.visit("20000")
				exchange(t, second, "hello")
				time.Sleep(time.Minute)
				if cut > 0 {
					w.home.Cut()
				}
				g.write("")
				time.Sleep(cut)
				w.home.Restore()
				begin := time.Now()
				for range 2 {
					select {
					case at := <-ended:
						if took := at.Sub(begin); took > 5*time.Second {
							t.Errorf("a service had its connection for %v", took)
						}
					case <-time.After(10 * time.Minute):
						t.Fatal("a service has its connection for ever")
					}
				}
				// Once allowed again, it is as before.
				g.write(w.nodeKey.ID().String() + " pi")
				exchange(t, w.visitPatiently("20000"), "back")
			})
		})
	}
}

// visitPatiently tries until the port is open.
func (w *world) visitPatiently(port string) (c net.Conn) {
	w.t.Helper()
	eventually(w.t, "open", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var err error
		c, err = w.visitor.DialTCP(ctx, net.JoinHostPort(serverIP, port))
		return err == nil
	})
	w.t.Cleanup(func() { c.Close() })
	return c
}

// laneOf is a hand-made lane of a node's process.
func laneOf(t *testing.T, w *world, node *running) *peer {
	t.Helper()
	p := dialServer(w)
	hello := &framing.Hello{Instance: node.node.Inspect().Instance, Lane: true}
	p.write(seal(t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, hello, 1, false))
	p.wantReply(1, framing.OpWelcome, 0)
	return p
}

func leaseOn(t *testing.T, server *running, port uint16) lease.Lease {
	t.Helper()
	for _, l := range server.server.Status().Leases {
		if l.Port == port {
			return l
		}
	}
	t.Fatalf("there is no lease of port %d", port)
	return lease.Lease{}
}

// TestDeniedWithSecret: a denied node is refused whatever its secret, and uses up no invitation.
func TestDeniedWithSecret(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		w.startServer(g.admit(false))
		secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 1})
		g.write("-" + w.nodeKey.ID().String() + " sold")
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpFailure, framing.ErrorNotAuthorized)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1, JoinSecret: secret}, 2, false))
		p.wantReply(2, framing.OpFailure, framing.ErrorNotAuthorized)
		p.wantClose(framing.ErrorNotAuthorized)
		if open, err := g.invitations.Open(); err != nil || len(open) != 1 {
			t.Errorf("the invitation was used: %+v, %v", open, err)
		}
		w.startNode(expose("web", web), with(newKey(t), secret)).leases.wait(t, 1)
	})
}

// TestEditorsPause: a file that is briefly empty while an editor writes it ends no session.
func TestEditorsPause(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		id := w.nodeKey.ID().String()
		g.write(id + " pi")
		w.startNode(expose("web", web)).leases.wait(t, 1)
		since := server.server.Status().Sessions[0].Since
		for range 20 {
			time.Sleep(3*time.Second + 77*time.Millisecond)
			g.write("")
			time.Sleep(300 * time.Millisecond)
			g.write(id+" pi", "# edited")
			time.Sleep(5 * time.Second)
			g.write(id + " pi")
		}
		if now := server.server.Status().Sessions; len(now) != 1 || now[0].Since != since {
			t.Errorf("the session ended: %+v", now)
		}
	})
}

// TestUnreadableList: a list that cannot be read, or cannot be trusted, admits nobody, and ends no session.
func TestUnreadableList(t *testing.T) {
	for name, change := range map[string]struct{ lose, mend func(path string) error }{
		"others may write it": {
			func(path string) error { return os.Chmod(path, 0o666) }, func(path string) error { return os.Chmod(path, 0o600) },
		},
		"it is gone": {
			func(path string) error { return os.Rename(path, path+"~") }, func(path string) error { return os.Rename(path+"~", path) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				server := w.startServer(g.admit(true))
				g.write(w.nodeKey.ID().String() + " pi")
				w.startNode(expose("web", web)).leases.wait(t, 1)
				time.Sleep(time.Minute)
				if err := change.lose(g.path); err != nil {
					t.Fatal(err)
				}
				newcomer := w.startNode(expose("web", web), with(newKey(t), nil))
				time.Sleep(10 * time.Minute)
				if n := len(server.server.Status().Sessions); n != 1 {
					t.Errorf("%d sessions, want that of the known node", n)
				}
				if n := w.logged.count("the list of authorized nodes has mistakes"); n != 1 {
					t.Errorf("the operator was told %d times", n)
				}
				if err := change.mend(g.path); err != nil {
					t.Fatal(err)
				}
				newcomer.leases.wait(t, 1) // the server is open
			})
		})
	}
}

// TestDeniedByOpenServer: a server open to all shuts out the nodes that it is told to.
func TestDeniedByOpenServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(true))
		w.startNode(expose("web", web)).leases.wait(t, 1)
		g.write("-" + w.nodeKey.ID().String())
		time.Sleep(2 * time.Second)
		if n := len(server.server.Status().Sessions); n != 0 {
			t.Errorf("%d sessions", n)
		}
		w.startNode(expose("web", web), with(newKey(t), nil)).leases.wait(t, 1)
	})
}

// TestRemovedWhileDown: a line removed while the server was down frees no port.
func TestRemovedWhileDown(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		brief := func(c *ServerConfig) { c.LeaseTime = time.Minute }
		server := w.startServer(g.admit(false), brief)
		g.write(w.nodeKey.ID().String())
		w.startNode(expose("web", web)).leases.wait(t, 1)
		server.stop()
		g.write("")
		server = w.startServer(g.admit(false), brief)
		time.Sleep(10 * time.Minute)
		if l := leaseOn(t, server, 20000); l.State() != lease.Reserved {
			t.Errorf("%s: %+v", l.State(), l)
		}
	})
}

// TestGuestThatWasAllowed: the port of a node that was a guest before it was allowed is kept from others even
// when its line is removed, and that of a guest when it is denied, even if they are away.
func TestGuestThatWasAllowed(t *testing.T) {
	for name, sendAway := range map[string]func(w *world, g *gatekeeper, id string, server *running) *running{
		"removed": func(w *world, g *gatekeeper, id string, server *running) *running {
			g.write(id + " pi")
			time.Sleep(10 * time.Second)
			server.stop()
			server = w.startServer(g.admit(false))
			g.write("")
			return server
		},
		"removed while down": func(w *world, g *gatekeeper, id string, server *running) *running {
			g.write(id + " pi")
			time.Sleep(10 * time.Second)
			server.stop()
			g.write("")
			return w.startServer(g.admit(false))
		},
		"denied": func(w *world, g *gatekeeper, id string, server *running) *running {
			g.write("-" + id)
			return server
		},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				server := w.startServer(g.admit(true))
				node := w.startNode(expose("web", web))
				node.leases.wait(t, 1)
				node.stop()
				server = sendAway(w, g, w.nodeKey.ID().String(), server)
				time.Sleep(5 * time.Second)
				if l := leaseOn(t, server, 20000); l.State() != lease.Reserved || time.Until(l.HeldUntil) < lease.ReserveTime-time.Minute {
					t.Errorf("%s: %+v", l.State(), l)
				}
			})
		})
	}
}

// TestClosedServer: a guest of a server that no longer admits guests loses its port when its time is over.
func TestClosedServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		brief := func(c *ServerConfig) { c.LeaseTime = time.Minute }
		server := w.startServer(g.admit(true), brief)
		node := w.startNode(expose("web", web))
		node.leases.wait(t, 1)
		node.stop()
		server.stop()
		server = w.startServer(g.admit(false), brief)
		time.Sleep(2 * time.Minute)
		if leases := server.server.Status().Leases; len(leases) != 0 {
			t.Errorf("%+v", leases)
		}
	})
}

// TestTooManyJoins: secrets have a rate for each address, joining has one for all.
func TestTooManyJoins(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		admitter := admission.New(admission.Config{Nodes: g.nodes, Invitations: g.invitations})
		secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 500})
		from := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }
		try := func(secret []byte, from netip.Addr) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := admitter.Admit(ctx, admission.Applicant{Node: newKey(t).ID(), JoinSecret: secret, From: from})
			return err
		}
		for i := range secretBurst {
			if err := try([]byte("guess"), from(0)); !errors.Is(err, admission.ErrNotAuthorized) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if err := try(secret, from(0)); !errors.Is(err, admission.ErrTooManyJoins) {
			t.Errorf("one more secret from an address: %v", err)
		}
		tried := 0
		for i := range 1000 { // one customer's
			address := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i >> 8), byte(i), 15: 1})
			if errors.Is(try([]byte("guess"), address), admission.ErrNotAuthorized) {
				tried++
			}
		}
		if tried != 2*secretBurst {
			t.Errorf("%d guesses from a /48, want %d", tried, 2*secretBurst)
		}
		in := 0
		for i := range 100 {
			switch err := try(secret, from(1+i)); {
			case err == nil:
				in++
			case !errors.Is(err, admission.ErrTooManyJoins):
				t.Fatal(err)
			}
		}
		if in < joinBurst || in > joinBurst+10 {
			t.Errorf("%d nodes joined at once, want %d", in, joinBurst)
		}
		if n := strings.Count(g.read(), "\n"); n != in {
			t.Errorf("the list has %d lines for %d nodes", n, in)
		}
		time.Sleep(time.Minute)
		if err := try(secret, from(0)); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// TestNewcomer: a node that joined less than a day ago may have few services.
func TestNewcomer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 1})
		services := func(c *NodeConfig) {
			for i := range 12 {
				expose(fmt.Sprint("s", i), web)(c)
			}
		}
		node := w.startNode(services, with(w.nodeKey, secret))
		node.leases.wait(t, newcomerServices)
		time.Sleep(time.Minute)
		if n := len(server.server.Status().Leases); n != newcomerServices {
			t.Errorf("%d leases, want %d", n, newcomerServices)
		}
		node.stop()
		joined := func(before time.Duration) {
			g.write(w.nodeKey.ID().String() + " pi joined=" + time.Now().Add(-before).Format(time.RFC3339))
		}
		joined(newcomerTime - time.Minute)
		node = w.startNode(services)
		node.leases.wait(t, newcomerServices)
		node.leases.wait(t, 12) // the day ends while it is connected
		node.stop()
		joined(newcomerTime)
		w.startNode(services).leases.wait(t, 12)
	})
}

// TestNewcomerRenames: new names, even for the same upstream and with other ports, count as more services.
func TestNewcomerRenames(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		secret := g.invite(certs.OpenInvitation{Name: "pi", Uses: 1})
		services := func(prefix string, port uint16) func(*NodeConfig) {
			return func(c *NodeConfig) {
				for i := range newcomerServices {
					c.Services = append(c.Services, Service{Name: fmt.Sprint(prefix, i), Upstream: web, PublicPort: port + uint16(i)})
				}
			}
		}
		node := w.startNode(services("a", 20000), with(w.nodeKey, secret))
		node.leases.wait(t, newcomerServices)
		node.stop()
		node = w.startNode(services("b", 20040))
		time.Sleep(time.Minute)
		if n := len(server.server.Status().Leases); n != newcomerServices {
			t.Errorf("%d leases, want %d", n, newcomerServices)
		}
		node.stop()
		w.startNode(services("c", 20000)).leases.wait(t, newcomerServices) // these are the same
		if n := len(server.server.Status().Leases); n != newcomerServices {
			t.Errorf("%d leases, want %d", n, newcomerServices)
		}
	})
}

// TestGuests: the unknown nodes of one address have a share of an open server's ports.
func TestGuests(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(true), func(c *ServerConfig) { c.MaxLeasesPerAddress, c.LeaseTime = 3, time.Minute })
		known := newKey(t)
		g.write(known.ID().String() + " mine")
		guest := w.startNode(expose("a", web), expose("b", web), with(newKey(t), nil))
		guest.leases.wait(t, 2)
		for range 4 {
			w.startNode(expose("a", web), with(newKey(t), nil))
		}
		time.Sleep(time.Minute)
		if n := len(server.server.Status().Leases); n != 3 {
			t.Errorf("%d leases, want 3", n)
		}
		w.startNode(expose("a", web), expose("b", web), with(known, nil)).leases.wait(t, 2)
		guest.stop()
		time.Sleep(2 * time.Minute) // its leases end, and others get theirs
		if n := len(server.server.Status().Leases); n != 5 {
			t.Errorf("%d leases, want 5", n)
		}
	})
}

// TestGuestsStayCounted: neither a moved lease, nor a refused request, nor a new name frees a place.
func TestGuestsStayCounted(t *testing.T) {
	ports := func(names string, ports ...uint16) func(*NodeConfig) {
		return func(c *NodeConfig) {
			for i, port := range ports {
				c.Services = append(c.Services, Service{Name: names[i : i+1], Upstream: web, PublicPort: port})
			}
		}
	}
	for name, again := range map[string]func(*NodeConfig){
		"moved":    ports("abc", 20004, 20005, 20006),
		"refused":  ports("abc", 1, 2, 3),
		"renamed":  ports("def", 20000, 20001, 20002),
		"the same": ports("abc", 20000, 20001, 20002),
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				server := w.startServer(g.admit(true), func(c *ServerConfig) { c.MaxLeasesPerAddress = 3 })
				key := newKey(t)
				guest := w.startNode(ports("abc", 20000, 20001, 20002), with(key, nil))
				guest.leases.wait(t, 3)
				guest.stop()
				guest = w.startNode(again, with(key, nil))
				time.Sleep(time.Minute)
				w.startNode(expose("a", web), expose("b", web), with(newKey(t), nil))
				time.Sleep(time.Minute)
				if n := len(server.server.Status().Leases); n != 3 {
					t.Errorf("%d leases, want 3", n)
				}
				if name == "refused" {
					return
				}
				guest.stop()
				w.startNode(ports("abc", 20000, 20001, 20002), with(key, nil)).leases.wait(t, 3) // all of them are its own
			})
		})
	}
}

// TestAudit: each change of who has a port is logged with the node's name.
func TestAudit(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		w.startServer(g.admit(true), func(c *ServerConfig) { c.LeaseTime = time.Minute })
		g.write(w.nodeKey.ID().String() + " pi")
		audit := func(want string, n int) {
			t.Helper()
			eventually(t, want, func() bool { return w.logged.count("msg=audit side=server "+want) == n })
		}
		short := w.nodeKey.ID().String()[:8] + "…"
		node := w.startNode(expose("web", web))
		audit("event=lease-given node="+short+" name=pi service=web port=20000", 1)
		node.stop()
		w.startNode(func(c *NodeConfig) { c.Services = []Service{{Name: "web", Upstream: web, PublicPort: 20007}} })
		audit("event=lease-moved node="+short+" name=pi service=web port=20007 previous=20000", 1)
		guest := newKey(t)
		w.startNode(expose("web", web), with(guest, nil)).leases.wait(t, 1)
		g.write(w.nodeKey.ID().String()+" pi", "-"+guest.ID().String())
		eventually(t, "the guest is gone", func() bool { return w.logged.count("event=dismiss") == 1 })
		stranger := w.startNode(expose("web", web), with(newKey(t), nil))
		stranger.leases.wait(t, 1)
		stranger.stop()
		eventually(t, "lost", func() bool { return w.logged.count("event=lease-lost") == 1 && w.logged.count("reason=expired") == 1 })
		audit("event=lease-given", 3)
	})
}

// fickle admits a node once.
type fickle struct{ asked, revision atomic.Uint64 }

func (f *fickle) Revision(context.Context) uint64 { return f.revision.Add(1) }

func (f *fickle) Admit(context.Context, admission.Applicant) (admission.Admission, error) {
	if f.asked.Add(1) > 1 {
		return admission.Admission{}, admission.ErrNotAuthorized
	}
	return admission.Admission{}, nil
}

// TestSentAwayMeanwhile: a node whose line is removed between its Hello and its Welcome does not get in.
func TestSentAwayMeanwhile(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.Admit = new(fickle) })
		p := dialServer(w)
		p.write(seal(t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpFailure, framing.ErrorNotAuthorized)
		p.wantClose(framing.ErrorNotAuthorized)
		if n := len(server.server.Status().Sessions); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}
