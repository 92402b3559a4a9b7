package quicproxy_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/quicconfig"
)

// scriptedServer takes connections of nodes and answers every message as answer says. It returns when
// messages with an opcode came.
func scriptedServer(w *world, answer func(*conn.ControlStream, framing.Envelope) error) (came func(framing.Opcode) []time.Time) {
	w.t.Helper()
	socket, err := w.machine.ListenUDP(serverUDP)
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConfig, err := certs.ServerTLS(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket, ConnectionIDLength: quicconfig.ServerConnectionIDLength}
	listener, err := transport.Listen(tlsConfig, quicconfig.Server(15*time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		times   = make(map[framing.Opcode][]time.Time)
		serving sync.WaitGroup
	)
	serving.Go(func() {
		for {
			client, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			serving.Go(func() {
				stream, err := client.AcceptStream(context.Background())
				if err != nil {
					return
				}
				control, err := conn.NewControlStream(client, stream, w.key, framing.RoleServer, 0, time.Minute)
				if err != nil {
					return
				}
				control.Serve(func(e framing.Envelope) error {
					mu.Lock()
					times[e.Opcode] = append(times[e.Opcode], time.Now())
					mu.Unlock()
					return answer(control, e)
				})
			})
		}
	})
	w.t.Cleanup(func() { listener.Close(); transport.Close(); socket.Close(); serving.Wait() })
	return func(op framing.Opcode) []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return times[op]
	}
}

// politely answers what every node asks for, except for its leases, which are refused with failure.
func politely(welcome *framing.Welcome, failure *framing.Failure) func(*conn.ControlStream, framing.Envelope) error {
	return func(control *conn.ControlStream, e framing.Envelope) error {
		switch e.Opcode {
		case framing.OpHello:
			return control.Reply(e, framing.OpWelcome, welcome)
		case framing.OpKeepalive:
			return control.Reply(e, framing.OpKeepaliveResponse, &framing.KeepaliveResponse{})
		case framing.OpDrain:
			return control.Reply(e, framing.OpDrained, &framing.Drained{})
		}
		return control.Reply(e, framing.OpFailure, failure)
	}
}

// TestServerUsesCommonFeatures: a relay has a number only where both sides can resume relays. The server
// ignores feature numbers that it does not know, and messages of features that it does not know.
func TestServerUsesCommonFeatures(t *testing.T) {
	for name, test := range map[string]struct {
		features []uint32
		moves    bool
	}{
		"none":      {nil, false},
		"unknown":   {[]uint32{0, 77, 1 << 31, math.MaxUint32}, false},
		"others":    {[]uint32{2, 3}, false},
		"moving":    {[]uint32{1}, true},
		"all twice": {[]uint32{3, 2, 1, 1, 2, 3}, true},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.startServer()
				p := dialServer(w)
				s := p.sealer(w.nodeKey, framing.RoleNode, 0)
				p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1, Features: test.features}, 1, false))
				var welcome framing.Welcome
				if err := p.wantReply(1, framing.OpWelcome, 0).Decode(&welcome); err != nil {
					t.Fatal(err)
				}
				if got := framing.NewFeatures(welcome.Features); got != framing.FeatureSet(1, 2, 3, 4, 5, 6, 7, 8, 9) || welcome.Instance == 0 {
					t.Errorf("the server has %v, instance %d", got, welcome.Instance)
				}
				p.write(seal(t, s, 4711, &framing.Keepalive{}, 0, false),
					seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Movable: true}, 2, false))
				p.wantReply(2, framing.OpProxyResponse, 0)
				w.visit("20000")
				stream, err := p.conn.AcceptStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				header, err := framing.ReadStreamHeader(stream)
				if err != nil || (header.Relay != 0) != test.moves {
					t.Errorf("a relay with the header %v (%v)", header, err)
				}
			})
		})
	}
}

// TestNodeUsesCommonFeatures: a node does not use features that the server does not list, whatever else
// Welcome says.
func TestNodeUsesCommonFeatures(t *testing.T) {
	for name, test := range map[string]struct {
		welcome *framing.Welcome
		lanes   uint32
		moves   bool
	}{
		"none":        {&framing.Welcome{MaxLanes: 5, Instance: 7}, 0, false},
		"lanes":       {&framing.Welcome{MaxLanes: 5, Instance: 7, Features: []uint32{2}}, 5, false},
		"moving":      {&framing.Welcome{MaxLanes: 5, Instance: 7, Features: []uint32{99, 1}}, 0, true},
		"no instance": {&framing.Welcome{Features: []uint32{1}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				movable := make(chan bool, 1)
				answer := politely(test.welcome, &framing.Failure{Code: uint64(framing.ErrorRangeFull), Text: "full", RetryAfterMilliseconds: 500_000})
				scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
					if e.Opcode == framing.OpProxyRequest {
						var request framing.ProxyRequest
						if err := e.Decode(&request); err != nil {
							return err
						}
						movable <- request.Movable
					}
					return answer(control, e)
				})
				node := w.startNode(expose("web", web))
				if got := <-movable; got != test.moves {
					t.Errorf("relays of it move: %t", got)
				}
				if l := node.node.Inspect(); l.MaxLanes != test.lanes || (l.Association != nil) != test.moves {
					t.Errorf("%d lanes, moving %t", l.MaxLanes, l.Association != nil)
				}
			})
		})
	}
}

// TestTooManyServices: a node with more services than the server allows logs that at once, and only once.
func TestTooManyServices(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		few := func(c *ServerConfig) { c.MaxServices = 3 }
		server := w.startServer(few)
		w.startNode(func(c *NodeConfig) {
			for i := range 5 {
				c.Services = append(c.Services, Service{Name: fmt.Sprint("s", i), Upstream: web})
			}
		}).leases.wait(t, 3)
		for range 3 {
			w.crash(server)
			server = w.startServer(few)
			eventually(t, "back", func() bool { return len(server.server.Status().Sessions) == 1 })
		}
		if n := w.logged.count("allows fewer services"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		if w.logged.count("services=5 allowed=3") != 1 {
			t.Error("without the numbers")
		}
	})
}
