package quicproxy_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/internal/testnet"
	"apquic/lease"
)

const (
	serverIP  = "203.0.113.5"
	visitorIP = "198.51.100.7"
	natIP     = "192.0.2.1"
	serverUDP = 8090
)

// world is a simulated internet with a server's machine, a visitor, and a home behind a NAT. Its time is
// virtual.
type world struct {
	t       *testing.T
	net     *testnet.Network
	machine *testnet.Host // where the server runs
	visitor *testnet.Host
	nat     *testnet.NAT
	home    *testnet.Host // where the node and the services run
	store   lease.Store   // survives restarts of the server
	peers   *peerMemory   // so do these
	key     certs.PrivateKey
	nodeKey certs.PrivateKey
	log     *slog.Logger
	logged  *logBuffer

	uploaded atomic.Int64 // bytes that the services of bulk got
}

// simulate runs f in a world of its own.
func simulate(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() {
			if t.Failed() {
				t.Log(w.logged.String())
			}
		}()
		f(t, w)
	})
}

// newWorld is for the inside of a bubble.
func newWorld(t *testing.T) *world {
	n := testnet.New(t)
	n.SetLatency(10 * time.Millisecond)
	w := &world{
		t: t, net: n, machine: n.Host(serverIP), visitor: n.Host(visitorIP), nat: n.NAT(natIP),
		store: lease.NewMemoryStore(), peers: new(peerMemory), key: newKey(t), nodeKey: newKey(t), logged: new(logBuffer),
	}
	w.home = w.nat.Host("192.168.1.101")
	w.log = slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return w
}

func newKey(t testing.TB) certs.PrivateKey {
	t.Helper()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// running is a server or a node that runs until stop, or the end of the test.
type running struct {
	server *Server
	node   *Node
	leases *leaseLog
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func start(t *testing.T, r *running, run func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		r.err = run(ctx)
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop ends it gracefully and returns what its Run returned.
func (r *running) stop() error {
	r.cancel()
	<-r.done
	return r.err
}

func (w *world) startServer(change ...func(*ServerConfig)) *running {
	w.t.Helper()
	socket, err := w.machine.ListenUDP(serverUDP)
	if err != nil {
		w.t.Fatal(err)
	}
	config := ServerConfig{
		Key: w.key, PacketConn: socket, Store: w.store, PublicHost: serverIP,
		ListenPublic: func(port uint16) (net.Listener, error) {
			return w.machine.ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
		},
		ListenPublicPacket: w.machine.ListenUDP,
		Peers:              w.peers, ResetKey: [32]byte{1}, TokenKey: [32]byte{2}, Drain: time.Second, Version: "test", Log: w.log.With("side", "server"),
	}
	for _, c := range change {
		c(&config)
	}
	server, err := NewServer(config)
	if err != nil {
		w.t.Fatal(err)
	}
	r := start(w.t, &running{server: server}, server.Run)
	synctest.Wait() // until it listens
	return r
}

// crash ends a server as a power cut would: no packet says that it ends.
func (w *world) crash(server *running) {
	w.machine.Cut()
	server.stop()
	w.machine.Restore()
}

func (w *world) nodeConfig() NodeConfig {
	return NodeConfig{
		Key: w.nodeKey, Server: w.key.ID(), Address: net.JoinHostPort(serverIP, "8090"),
		Drain: time.Second, Version: "test", Log: w.log.With("side", "node"),
		ListenPacket: func() (net.PacketConn, error) { return w.home.ListenUDP(0) },
		DialUpstream: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "udp" {
				return dialUDP(w.home, address)
			}
			return w.home.DialTCP(ctx, address)
		},
		WatchNetwork: func(ctx context.Context, changed func()) { <-ctx.Done() },
		Source:       func(netip.AddrPort) netip.Addr { return netip.Addr{} },
	}
}

func (w *world) startNode(change ...func(*NodeConfig)) *running {
	w.t.Helper()
	leases := &leaseLog{changed: make(chan struct{})}
	config := w.nodeConfig()
	config.OnLease = leases.add
	for _, c := range change {
		c(&config)
	}
	node, err := NewNode(config)
	if err != nil {
		w.t.Fatal(err)
	}
	return start(w.t, &running{node: node, leases: leases}, node.Run)
}

func expose(name, upstream string) func(*NodeConfig) {
	return func(c *NodeConfig) { c.Services = append(c.Services, Service{Name: name, Upstream: upstream}) }
}

// leaseLog collects what a node was told.
type leaseLog struct {
	mu      sync.Mutex
	leases  []Lease
	changed chan struct{}
}

func (l *leaseLog) add(lease Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases = append(l.leases, lease)
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait returns the first n leases once there are that many.
func (l *leaseLog) wait(t *testing.T, n int) []Lease {
	t.Helper()
	limit := time.After(10 * time.Minute)
	for {
		l.mu.Lock()
		leases, changed := l.leases, l.changed
		l.mu.Unlock()
		if len(leases) >= n {
			return leases[:n]
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%d leases, want %d", len(leases), n)
		}
	}
}

// serveTCP runs handle for every connection to address at home.
func (w *world) serveTCP(address string, handle func(net.Conn)) {
	w.t.Helper()
	serveTCP(w.t, w.home, address, handle)
}

func serveTCP(t *testing.T, host *testnet.Host, address string, handle func(net.Conn)) {
	t.Helper()
	listener, err := host.ListenTCP(address)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
}

func echo(c net.Conn) {
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
}

// visit connects to a public port.
func (w *world) visit(port string) net.Conn {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := w.visitor.DialTCP(ctx, net.JoinHostPort(serverIP, port))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	return c
}

// exchange sends a line and expects it back.
func exchange(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(line))
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	if string(answer) != line {
		t.Fatalf("sent %q, got %q", line, answer)
	}
}

// peerMemory is Peers in memory.
type peerMemory struct {
	mu     sync.Mutex
	peers  []Peer
	writes int
}

func (m *peerMemory) Load() ([]Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers, nil
}

func (m *peerMemory) Save(peers []Peer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers = peers
	m.writes++
	return nil
}

func (m *peerMemory) count() (writes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

// logBuffer collects a log; tests look for what a person must be told.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) count(what string) int { return strings.Count(b.String(), what) }

// eventually waits, in virtual time, until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond) // virtual
	}
	t.Fatalf("in ten minutes: never %s", what)
}
