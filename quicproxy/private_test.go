package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/testnet"
	"apquic/internal/testrace"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/quicstream"
)

const privateSSH = "192.168.1.101:22"

// privates is a world with a server that knows a node called garage, which has a private service, and a laptop.
type privates struct {
	*world
	gate           *gatekeeper
	laptop         *testnet.Host
	laptopKey      certs.PrivateKey
	server, garage *running
}

// withPrivate starts the server and garage, whose service answers with handle.
func withPrivate(w *world, handle func(net.Conn), allow ...string) *privates {
	w.t.Helper()
	return withPrivateAt(w, nil, handle, allow...)
}

// withPrivateAt is withPrivate with another configuration of the server.
func withPrivateAt(w *world, change []func(*ServerConfig), handle func(net.Conn), allow ...string) *privates {
	w.t.Helper()
	p := &privates{world: w, gate: newGatekeeper(w.t), laptop: w.net.NAT("192.0.2.77").Host("10.0.0.7"), laptopKey: newKey(w.t)}
	p.gate.write(w.nodeKey.ID().String(), p.laptopKey.ID().String()+" laptop", "")
	p.server = w.startServer(append(change, p.gate.admit(false))...)
	w.serveTCP(privateSSH, handle)
	if allow == nil {
		allow = []string{"laptop"}
	}
	p.garage = w.startNode(private("ssh", privateSSH, allow...), func(c *NodeConfig) { c.Name = "garage" })
	p.garage.leases.wait(w.t, 1)
	return p
}

func private(name, upstream string, allow ...string) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Services = append(c.Services, Service{Name: name, Upstream: upstream, Private: true, AllowNodes: allow})
	}
}

// at has a node run on a host, with a key.
func at(host *testnet.Host, key certs.PrivateKey) func(*NodeConfig) {
	return func(c *NodeConfig) {
		c.Key = key
		c.ListenPacket = func() (net.PacketConn, error) { return host.ListenUDP(0) }
		c.DialUpstream = func(ctx context.Context, _, address string) (net.Conn, error) { return host.DialTCP(ctx, address) }
	}
}

// connecting is a process on the laptop that connects.
func (p *privates) connecting(change ...func(*NodeConfig)) *running {
	return p.startNode(append([]func(*NodeConfig){at(p.laptop, p.laptopKey), func(c *NodeConfig) { c.Connects = true }}, change...)...)
}

func (p *privates) connect(t *testing.T, from *running, node, service string) net.Conn {
	t.Helper()
	c, err := tryConnect(t, from, node, service)
	if err != nil {
		t.Fatalf("%s/%s: %v", node, service, err)
	}
	return c
}

func tryConnect(t *testing.T, from *running, node, service string) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := from.node.Connect(ctx, node, service)
	if err == nil {
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Minute))
	}
	return c, err
}

// TestPrivateService: a node gets to the private service of another one, by name and by id, and to its own; each
// direction ends on its own. Nothing is leased for it, and a process that runs with the same key keeps its session.
func TestPrivateService(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		if l := p.garage.leases.wait(t, 1)[0]; l.PublicAddress != "private:garage/ssh" || l.Held != 0 {
			t.Errorf("the service is at %+v", l)
		}
		serveTCP(t, p.laptop, "10.0.0.7:80", echo)
		beside := w.startNode(at(p.laptop, p.laptopKey), expose("web", "10.0.0.7:80"))
		beside.leases.wait(t, 1)
		visitor := w.visit("20000")
		exchange(t, visitor, "before")

		laptop := p.connecting()
		for _, node := range []string{"garage", w.nodeKey.ID().String()} {
			c := p.connect(t, laptop, node, "ssh")
			exchange(t, c, "hello "+node)
			if err := errors.Join(closeWriteErr(c), wantRead(c, "", nil)); err != nil {
				t.Error(err)
			}
		}
		own := w.startNode(func(c *NodeConfig) { c.Connects = true })
		exchange(t, p.connect(t, own, "garage", "ssh"), "my own")

		exchange(t, visitor, "after")
		status := p.server.server.Status()
		if len(status.Leases) != 1 || status.Leases[0].Service != "web" {
			t.Errorf("leases: %v", status.Leases)
		}
		sessions := map[string]int{}
		for _, s := range status.Sessions {
			sessions[fmt.Sprintf("%s %v %v", s.Name, s.Primary, s.Connects)]++
		}
		for _, want := range []string{"garage true false", "laptop true false", "garage false true", "laptop false true"} {
			if sessions[want] != 1 {
				t.Errorf("no session %q in %v", want, sessions)
			}
		}
		if n := w.logged.count("two processes use the key"); n != 0 {
			t.Error("a process that connects is taken for one with services")
		}
		if !strings.Contains(p.gate.read(), w.nodeKey.ID().String()+" garage\n") {
			t.Errorf("the name was not kept: %q", p.gate.read())
		}
		for _, r := range []*running{laptop, own, p.garage, beside} {
			r.stop()
		}
		visitor.Close()
		eventually(t, "nothing left", func() bool { return serverLeftovers(p.server.server, false) == "" })
		for _, r := range []*running{laptop, own, p.garage} {
			if left := nodeLeftovers(r.node, false); left != "" {
				t.Errorf("a node has %s", left)
			}
		}
	})
}

// TestPrivateEnds: a FIN, a reset and what came before them cross the two nodes and the server, in both directions.
func TestPrivateEnds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		ended := make(chan error, 1)
		p := withPrivate(w, func(c net.Conn) {
			var command [1]byte
			io.ReadFull(c, command[:])
			switch command[0] {
			case 'f': // says something after the client has ended
				got, _ := io.ReadAll(c)
				io.WriteString(c, "got "+string(got))
			case 'r': // resets, after an answer
				io.WriteString(c, "answer")
				time.Sleep(time.Second)
				c.(interface{ SetLinger(int) error }).SetLinger(0)
				c.Close()
			case 'w': // waits for a reset
				_, err := io.ReadAll(c)
				ended <- err
			}
		})
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		if err := errors.Join(writeErr(c, "fall"), closeWriteErr(c), wantRead(c, "got all", nil), c.Close()); err != nil {
			t.Error(err)
		}
		c = p.connect(t, laptop, "garage", "ssh")
		if err := errors.Join(writeErr(c, "r"), wantRead(c, "answer", syscall.ECONNRESET)); err != nil {
			t.Error(err)
		}
		c.Close()
		c = p.connect(t, laptop, "garage", "ssh")
		if err := writeErr(c, "wait"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		c.(interface{ SetLinger(int) error }).SetLinger(0)
		c.Close()
		if err := onlyReset(<-ended); err != nil {
			t.Error(err)
		}
		left := ""
		defer func() { t.Log(left) }()
		eventually(t, "no relays", func() bool {
			left = serverLeftovers(p.server.server, true) + nodeLeftovers(laptop.node, true) + nodeLeftovers(p.garage.node, true)
			return left == ""
		})
	})
}

// TestPrivateRefusals: what is missing is not told: the node, the service, or the permission.
func TestPrivateRefusals(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo, "desktop", newKey(t).ID().String())
		laptop := p.connecting()
		var texts []string
		for _, to := range [][2]string{
			{"garage", "ssh"}, {w.nodeKey.ID().String(), "ssh"}, {"garage", "vnc"}, {"attic", "ssh"}, {newKey(t).ID().String(), "ssh"}, {"laptop", "ssh"}, {"", "ssh"},
		} {
			_, err := tryConnect(t, laptop, to[0], to[1])
			failure, ok := errors.AsType[*quicproxy.FailureError](err)
			if !ok || failure.Code != framing.ErrorNoPrivateService {
				t.Fatalf("%s: %v", to, err)
			}
			texts = append(texts, failure.Text+failure.Advice)
		}
		p.garage.stop()
		away := w.startNode(expose("web", web))
		away.leases.wait(t, 1)
		own := w.startNode(func(c *NodeConfig) { c.Connects = true })
		_, err := tryConnect(t, own, "garage", "ssh")
		failure, ok := errors.AsType[*quicproxy.FailureError](err)
		if !ok || failure.Code != framing.ErrorNoPrivateService {
			t.Fatalf("a service that is gone: %v", err)
		}
		texts = append(texts, failure.Text+strings.ReplaceAll(failure.Advice, w.nodeKey.ID().String(), p.laptopKey.ID().String()))
		for _, text := range texts {
			if text != texts[0] || !strings.Contains(text, p.laptopKey.ID().String()) {
				t.Errorf("%q and %q differ", text, texts[0])
			}
		}
		if _, err := tryConnect(t, laptop, strings.Repeat("x", 201), "ssh"); err == nil {
			t.Error("a name of 201 bytes")
		}
	})
}

// TestPrivateOfNodeWithServices: only a process that says so connects.
func TestPrivateOfNodeWithServices(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		web := w.startNode(at(p.laptop, p.laptopKey), expose("web", "10.0.0.7:80"))
		web.leases.wait(t, 1)
		_, err := tryConnect(t, web, "garage", "ssh")
		if failure, ok := errors.AsType[*quicproxy.FailureError](err); !ok || failure.Code != framing.ErrorBadRequest {
			t.Error(err)
		}
		laptop := p.connecting(expose("web", "10.0.0.7:80"))
		eventually(t, "refused", func() bool {
			s := laptop.node.Status(t.Context()).Services
			return s[0].Refusal != nil && strings.Contains(s[0].Refusal.Error(), "only connects")
		})
	})
}

// TestPrivateServiceBecomesPublic, and private again: what it had before is gone.
func TestPrivateServiceBecomesPublic(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		p.connect(t, laptop, "garage", "ssh")
		p.garage.stop()
		public := w.startNode(expose("ssh", privateSSH))
		public.leases.wait(t, 1)
		exchange(t, w.visit("20000"), "public")
		if _, err := tryConnect(t, laptop, "garage", "ssh"); err == nil {
			t.Error("a public service is private")
		}
		public.stop()
		again := w.startNode(private("ssh", privateSSH, "laptop"))
		again.leases.wait(t, 1)
		exchange(t, p.connect(t, laptop, "garage", "ssh"), "private")
		if leases := p.server.server.Status().Leases; len(leases) != 0 {
			t.Errorf("leases: %v", leases)
		}
		if _, err := w.visitor.DialTCP(t.Context(), serverIP+":20000"); err == nil {
			t.Error("its former port is open")
		}
	})
}

// TestPrivateServiceHadAName: a service with a name below the server's own domain loses it when it becomes private.
func TestPrivateServiceHadAName(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		ending, termination := w.withTermination(t)
		w.startServer(termination)
		w.serveHTTP(plainWeb, nil)
		public := w.startNode(exposeEnded("web", plainWeb, "", 2))
		name := strings.TrimPrefix(public.leases.wait(t, 1)[0].Name, "https://")
		if status, _ := fetch(t, w.browser(true), "https://"+name+"/"); status != 200 {
			t.Errorf("a browser gets %d", status)
		}
		public.stop()
		w.startNode(private("web", plainWeb, "laptop")).leases.wait(t, 1)
		w.wantUnrecognized(name)
		ending.mu.Lock()
		defer ending.mu.Unlock()
		for name, n := range ending.wanted {
			if n != 0 {
				t.Errorf("%s is wanted %d times", name, n)
			}
		}
	})
}

// TestPrivateResumes: a connection goes on over the next connections of both nodes.
func TestPrivateResumes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		exchange(t, c, "hello")
		for i := range 3 {
			killConnections(p.server.server)
			exchange(t, c, fmt.Sprint("after loss ", i))
			time.Sleep(20 * time.Second)
		}
		if err := errors.Join(closeWriteErr(c), wantRead(c, "", nil)); err != nil {
			t.Error(err)
		}
	})
}

// TestPrivateAfterServerRestart: connections end with the server's process; new ones work once the nodes are back.
func TestPrivateAfterServerRestart(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		exchange(t, c, "hello")
		w.crash(p.server)
		p.server = w.startServer(p.gate.admit(false))
		if err := wantRead(c, "", nil); err == nil {
			t.Error("it ended as if everything had come")
		}
		eventually(t, "back", func() bool {
			c, err := tryConnect(t, laptop, "garage", "ssh")
			return err == nil && exchangeErr(c, "again") == nil
		})
	})
}

// TestPrivateNodeDismissed: who is removed at the server loses its connections to private services, too.
func TestPrivateNodeDismissed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		c := p.connect(t, laptop, "garage", "ssh")
		exchange(t, c, "hello")
		p.gate.write(w.nodeKey.ID().String()+" garage", "")
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("its connection: %v", err)
		}
		if _, err := tryConnect(t, laptop, "garage", "ssh"); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestNamesOfNodes: the first node that wants a name has it; the next one is told what it is called. A node by whose
// name another one is meant from one day to the next is not connected.
func TestNamesOfNodes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting(func(c *NodeConfig) { c.Name = "garage" })
		exchange(t, p.connect(t, laptop, "garage", "ssh"), "hello")
		if name := laptop.node.Status(t.Context()).Name; name != "laptop" {
			t.Errorf("the laptop is called %q", name)
		}
		other := newKey(t)
		p.gate.write(w.nodeKey.ID().String()+" former", p.laptopKey.ID().String()+" laptop", other.ID().String()+" garage", "")
		time.Sleep(5 * time.Second)
		attacker := w.startNode(at(w.home, other), private("ssh", privateSSH, "laptop"))
		attacker.leases.wait(t, 1)
		_, err := tryConnect(t, laptop, "garage", "ssh")
		if changed, ok := errors.AsType[*certs.ChangedNodeError](err); !ok || changed.Now != other.ID() || changed.Known != w.nodeKey.ID() {
			t.Errorf("another garage: %v", err)
		}
		exchange(t, p.connect(t, laptop, w.nodeKey.ID().String(), "ssh"), "by id")
	})
}

// TestNameOfInvitedNode: a node that an invitation lets in keeps the name of the invitation, unless nobody chose that.
func TestNameOfInvitedNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		w.startServer(g.admit(false))
		for invitation, want := range map[string]string{"": "garage", "shed": "shed"} {
			secret := g.invite(certs.OpenInvitation{Name: invitation, Uses: 1})
			key := newKey(t)
			node := w.startNode(private("ssh", privateSSH), with(key, secret), func(c *NodeConfig) { c.Name = "garage" })
			if l := node.leases.wait(t, 1)[0]; l.PublicAddress != "private:"+want+"/ssh" || node.node.Status(t.Context()).Name != want {
				t.Errorf("invited as %q it is at %s", invitation, l.PublicAddress)
			}
			if !strings.Contains(g.read(), key.ID().String()+" "+want+" joined=") {
				t.Errorf("the list is %q", g.read())
			}
			node.stop()
		}
	})
}

// TestAllowedNameChanges: a name in allowNodes means the node that it meant first, whatever the server says later.
func TestAllowedNameChanges(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		exchange(t, p.connect(t, p.connecting(), "garage", "ssh"), "hello")
		thief := newKey(t)
		p.gate.write(w.nodeKey.ID().String()+" garage", p.laptopKey.ID().String()+" former", thief.ID().String()+" laptop", "")
		time.Sleep(5 * time.Second)
		stranger := w.startNode(at(p.laptop, thief), func(c *NodeConfig) { c.Connects = true })
		_, err := tryConnect(t, stranger, "garage", "ssh")
		if failure, ok := errors.AsType[*quicproxy.FailureError](err); !ok || failure.Code != framing.ErrorNoPrivateService || !strings.Contains(failure.Text, "does not let") {
			t.Errorf("another laptop: %v", err)
		}
		if n := w.logged.count("was not let into a private service"); n != 1 {
			t.Errorf("the owner was told %d times", n)
		}
	})
}

// TestConnectingNodeFloods: a node that connects again and again, by many processes, costs the server and the other node
// a bounded amount, and others still get through.
func TestConnectingNodeFloods(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		laptop := p.connecting()
		var open []net.Conn
		tries, busy := testrace.Whole(600, 300), 0
		for range tries {
			c, err := tryConnect(t, laptop, "garage", "ssh")
			switch failure, ok := errors.AsType[*quicproxy.FailureError](err); {
			case err == nil:
				open = append(open, c)
			case ok && failure.Code == framing.ErrorBusy && failure.RetryAfter > 0:
				busy++
				time.Sleep(failure.RetryAfter)
			default:
				t.Fatal(err)
			}
		}
		if len(open) != 256 || busy != tries-256 {
			t.Errorf("%d connections are open, %d were refused", len(open), busy)
		}
		seen := p.garage.node.Inspect()
		if n := seen.Streams.Len(); n != 256 {
			t.Errorf("%d streams at the node", n)
		}
		if used := seen.Memory.Used(); used < 256*64<<10 || used > 256*256<<10 {
			t.Errorf("they count as %d bytes there", used)
		}
		var processes []*running
		for range 40 {
			processes = append(processes, p.connecting())
		}
		time.Sleep(time.Minute)
		connects := 0
		for _, s := range p.server.server.Status().Sessions {
			if s.Connects {
				connects++
			}
		}
		if connects != 32 {
			t.Errorf("%d processes of one node are connected", connects)
		}
		own := w.startNode(func(c *NodeConfig) { c.Connects = true })
		exchange(t, p.connect(t, own, "garage", "ssh"), "another node")
		for _, c := range open {
			c.Close()
		}
		for _, r := range processes {
			r.stop()
		}
		exchange(t, p.connect(t, laptop, "garage", "ssh"), "later")
	})
}

// TestTooManyPrivateServices: a node has as many private services as it may have leases.
func TestTooManyPrivateServices(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		p := withPrivate(w, echo)
		many := []func(*NodeConfig){at(p.laptop, p.laptopKey)}
		for i := range 17 {
			many = append(many, private(fmt.Sprint("s", i), privateSSH))
		}
		node := w.startNode(many...)
		node.leases.wait(t, 16)
		eventually(t, "refused", func() bool {
			s := node.node.Status(t.Context()).Services[16]
			failure, ok := errors.AsType[*quicproxy.FailureError](s.Refusal)
			return ok && failure.Code == framing.ErrorTooManyServices
		})
	})
}

// TestUnaskedStreams: a server that sends streams which nobody asked for, or public clients to a private service, gets
// nowhere: no stream reaches the upstream without TLS from a node that may connect.
func TestUnaskedStreams(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		reached := make(chan string, 10)
		w.serveTCP(privateSSH, func(c net.Conn) {
			got := make([]byte, 100)
			n, _ := c.Read(got)
			reached <- string(got[:n])
		})
		next := monkeyServer(w)
		node := w.startNode(private("ssh", privateSSH, "laptop"))
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{Features: []uint32{6}}, 1, true))
		for name, test := range map[string]struct {
			header *framing.StreamHeader
			code   framing.ErrorCode
		}{
			"nobody asked":           {&framing.StreamHeader{Service: "ssh", Connect: 1}, framing.ErrorUnknownService},
			"a public client":        {&framing.StreamHeader{Service: "ssh", ClientAddress: "198.51.100.7:1"}, framing.ErrorRelayReset},
			"a client called laptop": {&framing.StreamHeader{Service: "ssh", ClientAddress: "198.51.100.7:1", NodeName: "laptop"}, framing.ErrorRelayReset},
		} {
			stream, err := p.conn.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			frame, err := framing.AppendStreamHeader(nil, test.header)
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(append(frame, "SSH-2.0-OpenSSH_9.9\r\n"...))
			_, err = io.ReadAll(stream)
			if code, ok := quicstream.RemoteCode(err); !ok || code != test.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		eventually(t, "no streams", func() bool { return node.node.Inspect().Streams.Len() == 0 })
		select {
		case got := <-reached:
			t.Errorf("the upstream got %q", got)
		default:
		}
	})
}
