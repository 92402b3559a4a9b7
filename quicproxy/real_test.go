package quicproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/lease"
	"apquic/quicproxy/node"
)

// tunnel is a server and a node on real sockets of this machine, all ports chosen by the system.
type tunnel struct {
	tb      testing.TB
	server  *Server
	node    *Node
	nodeCfg NodeConfig
	public  func(port uint16) net.Listener

	publicUDP func(port uint16) string // address

	stopNode func() // and wait for it
}

// newTunnel exposes the services through a server on loopback.
func newTunnel(tb testing.TB, services ...node.Service) *tunnel {
	tb.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	key := newKey(tb)
	ports, _ := lease.ParsePortRange("20000-20010")
	public := make(map[uint16]net.Listener) // the leased ports are names only: the system chooses real ones
	packets := make(map[uint16]net.PacketConn)
	var mu sync.Mutex
	server, err := NewServer(ServerConfig{
		Key: key, PacketConn: socket, Ports: ports, PublicHost: "127.0.0.1", Drain: -1, Park: time.Minute,
		ListenPublic: func(port uint16) (net.Listener, error) {
			mu.Lock()
			defer mu.Unlock()
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			public[port] = l
			return l, err
		},
		ListenPublicPacket: func(port uint16) (net.PacketConn, error) {
			mu.Lock()
			defer mu.Unlock()
			l, err := net.ListenPacket("udp4", "127.0.0.1:0")
			packets[port] = l
			return l, err
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	leased := make(chan Lease, 2*len(services)) // also of a second process
	config := NodeConfig{
		Key: newKey(tb), Server: key.ID(), Address: socket.LocalAddr().String(), Services: services, Drain: -1,
		OnLease: func(l Lease) { leased <- l },
	}
	node, err := NewNode(config)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx) })
	nodeCtx, cancelNode := context.WithCancel(ctx)
	nodeEnded := make(chan struct{})
	running.Go(func() { defer close(nodeEnded); node.Run(nodeCtx) })
	stopNode := func() { cancelNode(); <-nodeEnded }
	tb.Cleanup(func() { cancel(); running.Wait() })
	for range services {
		select {
		case <-leased:
		case <-time.After(30 * time.Second):
			tb.Fatal("no lease")
		}
	}
	publicUDP := func(port uint16) string {
		mu.Lock()
		defer mu.Unlock()
		return packets[port].LocalAddr().String()
	}
	listener := func(port uint16) net.Listener {
		mu.Lock()
		defer mu.Unlock()
		return public[port]
	}
	return &tunnel{tb: tb, server: server, node: node, nodeCfg: config, public: listener, publicUDP: publicUDP, stopNode: stopNode}
}

// startNode starts another process of the node.
func (t *tunnel) startNode() {
	t.tb.Helper()
	node, err := NewNode(t.nodeCfg)
	if err != nil {
		t.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); node.Run(ctx) }()
	t.tb.Cleanup(func() { cancel(); <-ended })
}

// dial connects to the public port of a service.
func (t *tunnel) dial(service string) *net.TCPConn {
	t.tb.Helper()
	c, err := net.Dial("tcp4", t.address(service))
	if err != nil {
		t.tb.Fatal(err)
	}
	t.tb.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// address is where the clients of a service really connect to.
func (t *tunnel) address(service string) string {
	t.tb.Helper()
	for _, l := range t.server.Status().Leases {
		if l.Service == service {
			return t.public(l.Port).Addr().String()
		}
	}
	t.tb.Fatalf("no lease for %s", service)
	return ""
}

// upstream runs handle for every connection to a local port and returns its address.
func upstream(tb testing.TB, handle func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	tb.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// TestIsolation: a thousand clients that ask for endless data and never read it stop nobody.
func TestIsolation(t *testing.T) {
	stalled := testrace.Whole(1000, 20)
	filled := make(chan struct{}, stalled)
	over := make(chan struct{})
	endless := upstream(t, func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return
		}
		chunk := make([]byte, 64<<10)
		for {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(chunk); errors.Is(err, os.ErrDeadlineExceeded) {
				break // nothing moves: the whole way to the reader is full
			} else if err != nil {
				t.Errorf("the endless service: %v", err)
				break
			}
		}
		filled <- struct{}{}
		<-over
	})
	tun := newTunnel(t, Service{Name: "endless", Upstream: endless}, Service{Name: "echo", Upstream: upstream(t, echo)})
	finish := sync.OnceFunc(func() { close(over) })
	t.Cleanup(finish) // before the services are waited for
	c := tun.dial("echo")
	rounds := testrace.Whole(5000, 100) // whose times mean nothing under the race detector
	roundTrip(t, c, rounds)
	alone := roundTrip(t, c, rounds)
	clients := make([]*net.TCPConn, stalled)
	for i := range clients {
		clients[i] = tun.dial("endless")
		if _, err := clients[i].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range stalled {
		select {
		case <-filled:
		case <-time.After(2 * time.Minute):
			t.Fatalf("%d of %d clients are stalled", i, stalled)
		}
	}
	roundTrip(t, c, rounds)
	beside := roundTrip(t, c, rounds)
	finish()
	for _, client := range clients {
		client.SetLinger(0)
		client.Close()
	}
	// The machine may be busier now than at the beginning.
	alone = max(alone, roundTrip(t, c, rounds))
	t.Logf("median echo alone %v, beside %d stalled readers %v", alone, stalled, beside)
	if beside > 2*alone && !testrace.Detector {
		t.Errorf("the stalled readers slow their neighbour down")
	}
}

// roundTrip is the median time of an echo.
func roundTrip(tb testing.TB, c net.Conn, n int) time.Duration {
	tb.Helper()
	times := make([]time.Duration, n)
	message := make([]byte, 64)
	for i := range times {
		begin := time.Now()
		if _, err := c.Write(message); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(c, message); err != nil {
			tb.Fatal(err)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[n/2]
}
