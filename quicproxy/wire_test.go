package quicproxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
)

// scriptedServer takes connections of nodes and answers every message as answer says. It returns when messages with an
// opcode came.
func scriptedServer(w *world, answer func(*controlStream, framing.Envelope) error) (came func(framing.Opcode) []time.Time) {
	w.t.Helper()
	socket, err := w.machine.ListenUDP(serverUDP)
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConfig, err := certs.ServerTLS(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket, ConnectionIDLength: serverConnectionIDLength}
	listener, err := transport.Listen(tlsConfig, serverQUICConfig(15*time.Minute))
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
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			serving.Go(func() {
				stream, err := conn.AcceptStream(context.Background())
				if err != nil {
					return
				}
				control, err := newControlStream(conn, stream, w.key, framing.RoleServer, 0, time.Minute)
				if err != nil {
					return
				}
				control.serve(func(e framing.Envelope) error {
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

// politely answers what every node asks for, but for its leases, which are refused with failure.
func politely(welcome *framing.Welcome, failure *framing.Failure) func(*controlStream, framing.Envelope) error {
	return func(control *controlStream, e framing.Envelope) error {
		switch e.Opcode {
		case framing.OpHello:
			return control.reply(e, framing.OpWelcome, welcome)
		case framing.OpKeepalive:
			return control.reply(e, framing.OpKeepaliveResponse, &framing.KeepaliveResponse{})
		case framing.OpDrain:
			return control.reply(e, framing.OpDrained, &framing.Drained{})
		}
		return control.reply(e, framing.OpFailure, failure)
	}
}

// TestServerUsesCommonFeatures: a relay has a number only where both sides have relays that move; numbers that the server
// does not know, and news of what it does not know, are nothing to it.
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
				if got := framing.NewFeatures(welcome.Features); got != framing.FeatureSet(1, 2, 3) || welcome.Instance == 0 {
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

// TestNodeUsesCommonFeatures: what the server does not list a node leaves alone, whatever else Welcome says.
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
				scriptedServer(w, func(control *controlStream, e framing.Envelope) error {
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
				if l := node.node.current(); l.maxLanes != test.lanes || (l.association != nil) != test.moves {
					t.Errorf("%d lanes, moving %t", l.maxLanes, l.association != nil)
				}
			})
		})
	}
}

// TestNodeHeedsRetryAfter: a node asks again when the server says, within bounds that no server can move.
func TestNodeHeedsRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		milliseconds uint64
		least, most  time.Duration // between two requests
	}{
		"a minute":   {60_000, time.Minute, 75*time.Second + time.Second},
		"at once":    {1, time.Second, 2 * time.Second},
		"for ever":   {math.MaxUint64, 10 * time.Minute, 12*time.Minute + 31*time.Second},
		"an overrun": {1 << 63, 10 * time.Minute, 12*time.Minute + 31*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
					Code: uint64(framing.ErrorBusy), Text: "later", RetryAfterMilliseconds: test.milliseconds,
				}))
				w.startNode(expose("web", web))
				time.Sleep(40 * time.Minute)
				times := came(framing.OpProxyRequest)
				if len(times) < 3 {
					t.Fatalf("%d requests in 40 minutes", len(times))
				}
				for i := range times[1:] {
					if pause := times[i+1].Sub(times[i]); pause < test.least || pause > test.most {
						t.Errorf("asked again after %v, want %v to %v", pause, test.least, test.most)
					}
				}
			})
		})
	}
}

// TestRefusedServiceHoldsNoOtherUp: one that shall come later does not keep a new one from being asked for.
func TestRefusedServiceHoldsNoOtherUp(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorRangeFull), Text: "later", RetryAfterMilliseconds: 300_000,
		}))
		node := w.startNode(expose("web", web))
		eventually(t, "asked", func() bool { return len(came(framing.OpProxyRequest)) == 1 })
		time.Sleep(time.Minute)
		go node.node.Listen(t.Context(), "other")
		time.Sleep(time.Second)
		if n := len(came(framing.OpProxyRequest)); n != 2 {
			t.Errorf("%d requests, want one for each service", n)
		}
	})
}

// TestBusyServerIsLeftAlone: one that has too many requests of the node is not asked for the other services meanwhile.
func TestBusyServerIsLeftAlone(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorBusy), Text: "later", RetryAfterMilliseconds: 60_000,
		}))
		w.startNode(expose("a", web), expose("b", web), expose("c", web))
		time.Sleep(10*time.Minute + 30*time.Second)
		if n := len(came(framing.OpProxyRequest)); n < 8 || n > 11 {
			t.Errorf("%d requests in ten minutes, want one in each", n)
		}
	})
}

// TestWithdrawnWhileRefused: of a service that is taken back before it got an address nothing is left.
func TestWithdrawnWhileRefused(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorRangeFull), Text: "later", RetryAfterMilliseconds: 60_000,
		}))
		node := w.startNode()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := node.node.Listen(ctx, "other"); err == nil {
			t.Fatal("it got an address")
		}
		before := len(came(framing.OpProxyRequest))
		time.Sleep(10 * time.Minute) // a loop without a pause would not let time pass
		if n := len(came(framing.OpProxyRequest)); before != 1 || n != before {
			t.Errorf("%d requests, then %d", before, n)
		}
	})
}

// TestNodeHeedsRetryAfterHello: the same for one that is not admitted.
func TestNodeHeedsRetryAfterHello(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		failure := &framing.Failure{Code: uint64(framing.ErrorShutdown), Text: "later", RetryAfterMilliseconds: 120_000}
		came := scriptedServer(w, func(control *controlStream, e framing.Envelope) error {
			return control.reply(e, framing.OpFailure, failure)
		})
		w.startNode(expose("web", web))
		time.Sleep(20 * time.Minute)
		times := came(framing.OpHello)
		if len(times) < 7 || len(times) > 10 {
			t.Errorf("%d attempts in 20 minutes", len(times))
		}
		for i := range times[1:] {
			if pause := times[i+1].Sub(times[i]); pause < 2*time.Minute {
				t.Errorf("came again after %v", pause)
			}
		}
	})
}

// TestServerSaysWhen: where the server knows how soon it is worth to try again, it says so.
func TestServerSaysWhen(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) {
			c.Admit = admitOnly(w.nodeKey.ID())
			listen := c.ListenPublic
			c.ListenPublic = func(port uint16) (net.Listener, error) {
				if port == 20001 {
					return nil, errors.New("in use")
				}
				return listen(port)
			}
		})
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		var welcome framing.Welcome
		if err := p.wantReply(1, framing.OpWelcome, 0).Decode(&welcome); err != nil || welcome.GetLimits().GetMaxServices() != 5 {
			t.Errorf("limits %v (%v)", welcome.Limits, err)
		}
		retry := func(nonce uint64, code framing.ErrorCode) uint64 {
			var failure framing.Failure
			if err := p.wantReply(nonce, framing.OpFailure, code).Decode(&failure); err != nil {
				t.Fatal(err)
			}
			return failure.RetryAfterMilliseconds
		}
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: 80}, 2, false))
		if got := retry(2, framing.ErrorPortOutOfRange); got != 0 {
			t.Errorf("what is wrong for ever: after %d ms", got)
		}

		p = dialServer(w)
		s = p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 2, Standby: true}, 1, false))
		if got := retry(1, framing.ErrorBusy); got != 30_000 {
			t.Errorf("another process is connected: after %d ms", got)
		}

		w.nodeKey = newKey(t)
		p = dialServer(w)
		s = p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		if got := retry(1, framing.ErrorNotAuthorized); got != 30_000 {
			t.Errorf("not authorized: after %d ms", got)
		}
	})
}

// admitOnly admits one node.
type admitOnly certs.NodeID

func (a admitOnly) Revision(context.Context) uint64 { return 0 }

func (a admitOnly) Admit(_ context.Context, applicant Applicant) (Admission, error) {
	if applicant.Node != certs.NodeID(a) {
		return Admission{}, ErrNotAuthorized
	}
	return Admission{Services: 5, Known: true}, nil
}

// TestRestartingServer: the nodes of a server that says that it restarts are back at once.
func TestRestartingServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		restarts := func(c *ServerConfig) { c.Restarting = func() bool { return true } }
		server := w.startServer(restarts)
		w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(lasting + time.Second)
		for range 10 {
			server.stop()
			server = w.startServer(restarts)
			begin := time.Now()
			for len(server.server.Status().Sessions) == 0 {
				if time.Sleep(time.Millisecond); time.Since(begin) > time.Minute {
					t.Fatal("never back")
				}
			}
			if took := time.Since(begin); took > restartPause+100*time.Millisecond {
				t.Errorf("back after %v", took)
			}
			time.Sleep(lasting + time.Second)
		}
	})
}

// TestServerThatOnlySaysThatItRestarts: a node that believed it is as patient as ever.
func TestServerThatOnlySaysThatItRestarts(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, func(control *controlStream, e framing.Envelope) error {
			if err := politely(&framing.Welcome{}, &framing.Failure{Code: 1})(control, e); err != nil || e.Opcode != framing.OpHello {
				return err
			}
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				control.request(ctx, framing.OpDrain, &framing.Drain{Code: uint32(framing.DrainRestarting)}, framing.OpDrained, new(framing.Drained))
				control.stream.Close()
			}()
			return nil
		})
		w.startNode(expose("web", web))
		time.Sleep(10 * time.Minute)
		if n := len(came(framing.OpHello)); n < 10 || n > 60 {
			t.Errorf("%d connections in ten minutes", n)
		}
	})
}

// TestTooManyServices: a node that has more than the server allows says so at once, and once.
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
