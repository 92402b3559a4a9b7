package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/internal/testnet"
	"apquic/lease"
)

const upstreamUDP = "192.168.1.101:5353"

// connectedUDP is a UDP socket that is connected to a remote one.
type connectedUDP struct {
	net.PacketConn
	to net.Addr
}

func dialUDP(host *testnet.Host, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	socket, err := host.ListenUDP(0)
	if err != nil {
		return nil, err
	}
	return &connectedUDP{socket, net.UDPAddrFromAddrPort(to)}, nil
}

func (c *connectedUDP) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

func (c *connectedUDP) Write(b []byte) (int, error) { return c.WriteTo(b, c.to) }
func (c *connectedUDP) RemoteAddr() net.Addr        { return c.to }

// serveUDP answers each datagram that comes to an address at home with its sender's port and itself, until the end of
// the test or until stop is called.
func (w *world) serveUDP(address string) (stop func()) {
	w.t.Helper()
	socket, err := w.home.ListenUDP(netip.MustParseAddrPort(address).Port())
	if err != nil {
		w.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			socket.WriteTo(fmt.Appendf(nil, "%d %s", from.(*net.UDPAddr).Port, buffer[:n]), from)
		}
	})
	stop = sync.OnceFunc(func() { socket.Close(); serving.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// udpClient is a visitor with a UDP socket.
type udpClient struct {
	t *testing.T
	net.Conn
}

func (w *world) visitUDP(port int) *udpClient {
	w.t.Helper()
	c, err := dialUDP(w.visitor, net.JoinHostPort(serverIP, strconv.Itoa(port)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return &udpClient{w.t, c}
}

// try sends a text and returns what comes back within a time.
func (c *udpClient) try(text string, within time.Duration) (string, error) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(within))
	buffer := make([]byte, 2048)
	n, err := c.Read(buffer)
	return string(buffer[:n]), err
}

// ask sends a text until it comes back, and returns the port from which the service was asked.
func (c *udpClient) ask(text string) (from string) {
	c.t.Helper()
	for range 60 {
		answer, err := c.try(text, time.Second)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		from, got, _ := strings.Cut(answer, " ")
		if err != nil || got != text {
			c.t.Fatalf("sent %q, got %q, %v", text, answer, err)
		}
		return from
	}
	c.t.Fatalf("no answer to %q", text)
	return ""
}

// noFlows waits until nothing of any flow is left.
func noFlows(t *testing.T, server *Server, node *Node) {
	t.Helper()
	left := func() (n int) {
		count := func(what string, found int) {
			if strings.Contains(what, "flow") {
				n += found
			}
		}
		server.Inspect().Leftovers(true, count)
		node.Inspect().Leftovers(true, count)
		return n
	}
	eventually(t, "ended its flows", func() bool { return left() == 0 })
}

// TestUDP: what clients send to a port reaches the service, each client from a socket of its own, and the
// answers reach each client; idle flows end on both sides, and leave nothing.
func TestUDP(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		node := w.startNode(expose("echo", "udp://"+upstreamUDP))
		if got := node.leases.wait(t, 1)[0].PublicAddress; got != "udp://203.0.113.5:20000" {
			t.Errorf("the public address is %s", got)
		}
		a, b := w.visitUDP(20000), w.visitUDP(20000)
		ports := []string{a.ask("one"), b.ask("two"), a.ask("three"), b.ask("four")}
		if ports[0] != ports[2] || ports[1] != ports[3] || ports[0] == ports[1] {
			t.Errorf("the service was asked from %v", ports)
		}
		if flows := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Flows; flows != 2 {
			t.Errorf("%d flows", flows)
		}
		begin := time.Now()
		noFlows(t, server.server, node.node)
		if took := time.Since(begin); took < time.Minute || took > 3*time.Minute {
			t.Errorf("idle flows ended after %v", took)
		}
		if again := a.ask("five"); again == ports[0] {
			t.Error("an ended flow goes on")
		}
		if dropped := server.server.Inspect().Datagrams.Dropped(); len(dropped) > 0 {
			t.Errorf("the server dropped %v", dropped)
		}
		if dropped := node.node.Inspect().Datagrams.Dropped(); len(dropped) > 0 {
			t.Errorf("the node dropped %v", dropped)
		}
	})
}

// TestTCPAndUDP: one port has both.
func TestTCPAndUDP(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		w.serveTCP(upstreamUDP, echo)
		w.startServer()
		node := w.startNode(expose("dns", "tcp+udp://"+upstreamUDP))
		if got := node.leases.wait(t, 1)[0].PublicAddress; got != "tcp+udp://203.0.113.5:20000" {
			t.Errorf("the public address is %s", got)
		}
		w.visitUDP(20000).ask("over UDP")
		exchange(t, w.visit("20000"), "over TCP")
	})
}

// TestManyFlows: a thousand clients at once are served, each by a socket of its own.
func TestManyFlows(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		node := w.startNode(expose("echo", "udp://"+upstreamUDP))
		node.leases.wait(t, 1)
		const all = 1000
		var mu sync.Mutex
		var asking sync.WaitGroup
		from := make(map[string]bool)
		for i := range all {
			c := w.visitUDP(20000)
			asking.Go(func() {
				port := c.ask(fmt.Sprint("hello from ", i))
				mu.Lock()
				defer mu.Unlock()
				from[port] = true
			})
		}
		asking.Wait()
		if flows := server.server.Status().Traffic[lease.Endpoint{Port: 20000}].Flows; flows != all || len(from) != all {
			t.Errorf("%d flows, %d sockets at the node", flows, len(from))
		}
		noFlows(t, server.server, node.node)
	})
}

// TestFlowsGoOn: a flow keeps its socket at the node when the NAT rebinds the node, when the connection is
// lost, and when the server is restarted.
func TestFlowsGoOn(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.serveUDP(upstreamUDP)
		server := w.startServer()
		node := w.startNode(expose("echo", "udp://"+upstreamUDP))
		node.leases.wait(t, 1)
		c := w.visitUDP(20000)
		first := c.ask("before")
		same := func(when string) {
			t.Helper()
			if from := c.ask(when); from != first {
				t.Errorf("%s the service is asked from another socket", when)
			}
		}
		w.nat.Rebind()
		same("after a rebinding")
		w.home.Cut()
		time.Sleep(20 * time.Second)
		w.home.Restore()
		same("after an outage")
		node.node.Inspect().Conn.QUIC.CloseWithError(0, "test")
		same("after the end of the connection")
		server.stop()
		server = w.startServer()
		same("after a restart of the server")
		w.crash(server)
		server = w.startServer()
		same("after a crash of the server")
		noFlows(t, server.server, node.node)
	})
}

// TestNoUpstreamUDP: a service that is not there costs nothing but its datagrams, and is found when it comes.
func TestNoUpstreamUDP(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		node := w.startNode(expose("echo", "udp://"+upstreamUDP), func(c *NodeConfig) {
			dial := c.DialUpstream
			c.DialUpstream = func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "gone") {
					return nil, errors.New("no such host")
				}
				return dial(ctx, network, address)
			}
		}, expose("gone", "udp://gone.example.org:53"))
		node.leases.wait(t, 2)
		c := w.visitUDP(20000)
		if answer, err := c.try("x", time.Second); err == nil {
			t.Errorf("got %q", answer)
		}
		if answer, err := w.visitUDP(20001).try("x", time.Second); err == nil {
			t.Errorf("got %q", answer)
		}
		w.serveUDP(upstreamUDP)
		c.ask("now")
		if w.logged.count("the service cannot be reached") != 1 {
			t.Error("the log does not say that a service cannot be reached")
		}
		noFlows(t, server.server, node.node)
	})
}
