package quicproxy_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// program is a running server or node, which can be killed.
type program struct {
	*running
	number    int
	now       context.CancelFunc // ends it at once
	listening sync.WaitGroup     // of the service that is listened for
	sockets   *sockets
}

// client is a public connection.
type client struct {
	*side
	service string
	comes   time.Duration
	address string
}

// serve runs the services that the node reaches over TCP.
func (h *history) serve() {
	h.serveTCP("192.168.1.101:22", func(c net.Conn) { h.service("ssh", c, nil) })
	h.serveTCP("192.168.1.101:80", func(c net.Conn) { h.service("web", c, nil) })
}

// listening is how many sockets the services have.
func (h *history) listening() int { return 2 }

// service is one connection to a service.
func (h *history) service(name string, c net.Conn, by *program) {
	h.mu.Lock()
	h.serving++
	h.sides++
	s := newSide(rand.New(rand.NewPCG(h.seed, h.sides<<8)), 1000+h.sides, h.setting.bits)
	h.mu.Unlock()
	if name != "ssh" {
		s.after = s.IntN(3) - 1 // all, nothing, something
	}
	if _, tcp := c.(lingerer); !tcp && s.end == resets {
		s.end, s.total = closes, max(s.total, idSize)
	}
	s.run(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving--
	if s.by = by; by == nil {
		s.by = h.dialed[c.RemoteAddr().String()]
	}
	h.served = append(h.served, s)
}

// startServerProcess starts the server, with the port, key and store of the previous one.
func (h *history) startServerProcess() {
	stopNow, now := context.WithCancel(context.Background())
	h.server = &program{now: now, running: h.startServer(func(c *ServerConfig) {
		c.IdleTimeout, c.ResumeTime, c.Drain, c.StopNow = h.setting.idle, h.setting.resume, h.setting.drain, stopNow
		c.Memory, c.MaxClients, c.FlowIdle = h.setting.serverMem, h.setting.maxClients, flowIdle
	})}
}

// startNodeProcess starts a node with the key of the previous one.
func (h *history) startNodeProcess() {
	stopNow, now := context.WithCancel(context.Background())
	p := &program{now: now, number: len(h.nodes) + 1, sockets: new(sockets)}
	p.running = h.startNode(expose("ssh", "192.168.1.101:22"), expose("web", "192.168.1.101:80"), expose("game", "udp://"+upstreamUDP), func(c *NodeConfig) {
		c.IdleTimeout, c.ResumeTime, c.Drain, c.StopNow = h.setting.idle, h.setting.resume, h.setting.drain, stopNow
		c.Memory = h.setting.nodeMem
		for i := range c.Services {
			c.Services[i].Visitors = h.setting.visitors
		}
		c.ListenPacket = p.sockets.around(c.ListenPacket)
		dial, delays := c.DialUpstream, rand.New(rand.NewPCG(h.Uint64(), 1))
		var mu sync.Mutex
		c.DialUpstream = func(ctx context.Context, network, address string) (net.Conn, error) {
			if h.setting.slowDials {
				mu.Lock()
				delay := anyTime(delays, 32)
				mu.Unlock()
				time.Sleep(delay)
			}
			c, err := dial(ctx, network, address)
			if err == nil {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.dialed[c.LocalAddr().String()] = p
			}
			return c, err
		}
	})
	p.listening.Go(func() { h.listen(p) })
	h.nodes = append(h.nodes, p)
}

// node is the newest one.
func (h *history) node() *program { return h.nodes[len(h.nodes)-1] }

// listen serves the connections that the node's program accepts itself.
func (h *history) listen(p *program) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	listener, err := p.node.Listen(ctx, "app")
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		p.listening.Go(func() { h.service("app", c, p) })
	}
}

// learnPorts waits for the public addresses.
func (h *history) learnPorts() {
	for _, l := range h.node().leases.wait(h.t, 4) {
		_, address, _ := strings.Cut(l.PublicAddress, "://")
		_, port, _ := net.SplitHostPort(address)
		h.ports[l.Service] = port
	}
}

// visitors makes clients come, at any time.
func (h *history) visitors() *sync.WaitGroup {
	var talking sync.WaitGroup
	for range h.setting.clients {
		c := h.newClient([]string{"ssh", "web", "app"}[h.IntN(3)])
		talking.Go(func() {
			time.Sleep(c.comes)
			h.talk(c)
		})
	}
	return &talking
}

func (h *history) newClient(service string) *client {
	id := uint64(len(h.clients) + 1)
	r := rand.New(rand.NewPCG(h.seed, id))
	c := &client{side: newSide(r, id, h.setting.bits), service: service, comes: anyTime(r, 35)}
	if service == "ssh" && r.IntN(2) == 0 {
		c.after = idSize
	}
	h.clients = append(h.clients, c)
	return c
}

// talk connects a client, retrying while there is no server, and plays its program.
func (h *history) talk(c *client) {
	for {
		conn, err := h.visitor.DialTCP(h.t.Context(), net.JoinHostPort(serverIP, h.ports[c.service]))
		if err == nil {
			c.address = conn.LocalAddr().String()
			h.step("client %d comes to %s", c.id, c.service)
			c.run(conn)
			h.step("client %v", c.side)
			return
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			h.t.Errorf("client %d: %v", c.id, err)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// sockets are those of a node. Each can go dead, as when a NAT keeps a mapping that no longer works.
type sockets struct {
	mu   sync.Mutex
	dead []*atomic.Bool
}

func (s *sockets) around(listen func() (net.PacketConn, error)) func() (net.PacketConn, error) {
	return func() (net.PacketConn, error) {
		socket, err := listen()
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		dead := new(atomic.Bool)
		s.dead = append(s.dead, dead)
		return mortal{socket, dead}, nil
	}
}

// kill makes the socket go dead that was opened n before the last one.
func (s *sockets) kill(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[max(len(s.dead)-1-n, 0)].Store(true)
}
