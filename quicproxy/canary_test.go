package quicproxy_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/live"
)

// withCanary exposes a service that the server asks.
func withCanary(name, upstream string, every time.Duration, change ...func(*Service)) func(*NodeConfig) {
	return func(c *NodeConfig) {
		s := Service{Name: name, Upstream: upstream, Canary: every}
		for _, change := range change {
			change(&s)
		}
		c.Services = append(c.Services, s)
	}
}

// canaryOf is what the server knows of a service of w's node.
func (w *world) canaryOf(server *running, service string) live.Canary {
	return server.server.Status().Canaries[lease.Key{Node: w.nodeKey.ID(), Service: service}]
}

// TestCanary: a service that answers is proved about as often as it asks for, one that does not is told, and so is that it
// does again; nobody else is asked.
func TestCanary(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		var asked, never atomic.Int64
		w.serveTCP(web, func(net.Conn) { asked.Add(1) })
		w.serveTCP("192.168.1.101:81", func(net.Conn) { never.Add(1) })
		const dead = "192.168.1.101:82"
		w.startNode(withCanary("web", web, time.Minute), expose("quiet", "192.168.1.101:81"), withCanary("dead", dead, time.Minute)).leases.wait(t, 3)
		time.Sleep(30 * time.Minute)
		if n := asked.Load(); n < 24 || n > 36 {
			t.Errorf("the service was asked %d times in 30 minutes", n)
		}
		if n := never.Load(); n > 0 {
			t.Errorf("another one was asked %d times", n)
		}
		got := w.canaryOf(server, "web")
		if got.Proofs != uint64(asked.Load()) || got.Failures != 0 || got.Failing != "" || time.Since(got.Last) > 70*time.Second {
			t.Errorf("the one that answers: %+v", got)
		}
		got = w.canaryOf(server, "dead")
		if got.Proofs != 0 || got.Failures < 24 || got.Failing != "it refuses connections" || time.Since(got.Since) < 28*time.Minute || !got.Last.IsZero() {
			t.Errorf("the one that does not: %+v", got)
		}
		if n := strings.Count(w.logged.String(), `"the service does not answer its canary"`); n != 1 {
			t.Errorf("%d lines say so", n)
		}
		w.serveTCP(dead, func(net.Conn) {})
		time.Sleep(2 * time.Minute)
		if got := w.canaryOf(server, "dead"); got.Failing != "" || time.Since(got.Last) > 70*time.Second {
			t.Errorf("after it has come back: %+v", got)
		}
		if n := strings.Count(w.logged.String(), `"the service answers its canary again"`); n != 1 {
			t.Errorf("%d lines say that it is back", n)
		}
		counters := server.server.Status().Counters
		if counters.Relays != 0 || counters.ToNode != 0 || counters.FromNode != 0 {
			t.Errorf("canaries count as visitors: %+v", counters)
		}
		took := uint64(0)
		for _, n := range counters.Canaries.Counts {
			took += n
		}
		if took == 0 || counters.Canaries.Sum/float64(took) < 0.02 { // a round trip to the node
			t.Errorf("%d answers took %v s", took, counters.Canaries.Sum)
		}
		quiet(t, server)
	})
}

// quiet checks that nothing is left of canaries.
func quiet(t *testing.T, server *running) {
	t.Helper()
	synctest.Wait()
	server.server.Inspect().Leftovers(true, func(what string, n int) {
		if n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	})
}

// TestCanaryHealth: the node asks a service in the way of its health check; an error page is not an answer.
func TestCanaryHealth(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		var broken atomic.Bool
		w.serveHTTP(web, func(out http.ResponseWriter, in *http.Request) {
			if broken.Load() || in.URL.Path != "/healthz" {
				out.WriteHeader(http.StatusInternalServerError)
			}
		})
		w.startNode(withCanary("web", web, time.Minute, func(s *Service) { s.Health = "/healthz" })).leasesWait(t)
		time.Sleep(2 * time.Minute)
		if got := w.canaryOf(server, "web"); got.Proofs == 0 || got.Failures > 0 {
			t.Errorf("%+v", got)
		}
		broken.Store(true) // while it fails its own check the service gets no visitors, and no canaries
		time.Sleep(5 * time.Minute)
		if got := w.canaryOf(server, "web"); time.Since(got.Last) < 4*time.Minute {
			t.Errorf("a proof by an error page: %+v", got)
		}
	})
}

// TestCanaryAway: the proof of a node that is away only gets older, and goes on when it is back; a service that is gone
// is forgotten.
func TestCanaryAway(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(net.Conn) {})
		node := w.startNode(withCanary("web", web, time.Minute))
		node.leasesWait(t)
		time.Sleep(5 * time.Minute)
		node.stop()
		before := w.canaryOf(server, "web")
		time.Sleep(10 * time.Minute)
		if got := w.canaryOf(server, "web"); got != before || got.Proofs == 0 {
			t.Errorf("%+v before, %+v while the node is away", before, got)
		}
		node = w.startNode(withCanary("web", web, time.Minute))
		node.leasesWait(t)
		time.Sleep(2 * time.Minute)
		if got := w.canaryOf(server, "web"); got.Proofs <= before.Proofs || got.Failures > 0 {
			t.Errorf("%+v after it has come back", got)
		}
		if err := node.node.SetServices([]Service{{Name: "web", Upstream: web}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(server.server.Status().Canaries); n != 0 {
			t.Errorf("%d services are asked that no longer want it", n)
		}
	})
}

// canaryAttacker is a node of which the server asks a service.
func canaryAttacker(w *world) *peer {
	p := dialServer(w)
	s := p.sealer(w.nodeKey, framing.RoleNode, 0)
	p.write(seal(w.t, s, framing.OpHello, &framing.Hello{Instance: 1, Features: []uint32{uint32(framing.FeatureCanaries)}}, 1, false))
	p.wantReply(1, framing.OpWelcome, 0)
	p.write(seal(w.t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", CanarySeconds: 10}, 2, false))
	p.wantReply(2, framing.OpProxyResponse, 0)
	return p
}

// TestCanaryHostile: a node that does not answer, or with anything else, only fails its own proof; one canary of it waits
// at a time, and nothing is left of those before.
func TestCanaryHostile(t *testing.T) {
	for name, answer := range map[string]func(*quic.Stream){
		"nothing":    func(*quic.Stream) {},
		"half a one": func(s *quic.Stream) { s.Write([]byte{5}) },
		"a flood": func(s *quic.Stream) {
			for {
				if _, err := s.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"an endless length": func(s *quic.Stream) { s.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}) },
		"its end":           func(s *quic.Stream) { s.Close() },
		"a code of its own": func(s *quic.Stream) { s.CancelWrite(1 << 40) },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(func(c *ServerConfig) { c.IdleTimeout = time.Hour })
				p := canaryAttacker(w)
				var streams atomic.Int64
				go func() {
					for {
						stream, err := p.conn.AcceptStream(p.conn.Context())
						if err != nil {
							return
						}
						streams.Add(1)
						go answer(stream)
					}
				}()
				time.Sleep(2 * time.Minute)
				if n := streams.Load(); n < 3 || n > 20 {
					t.Errorf("%d canaries in two minutes", n)
				}
				got := w.canaryOf(server, "web")
				if name == "a flood" { // its first byte says that the service answers, and is believed
					if got.Proofs == 0 {
						t.Errorf("%+v", got)
					}
				} else if got.Proofs != 0 || got.Failures < 3 || got.Failing == "" {
					t.Errorf("%+v", got)
				}
				if n := goroutines("canary.Ask"); n > 1 {
					t.Errorf("%d canaries wait", n)
				}
				p.conn.CloseWithError(0, "")
				time.Sleep(time.Minute)
				if n := goroutines("canary.Ask"); n > 0 {
					t.Errorf("%d canaries wait for a node that has gone", n)
				}
			})
		})
	}
}

// TestCanaryGone: a connection that ends while a canary waits says nothing of the service.
func TestCanaryGone(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		p := canaryAttacker(w)
		if _, err := p.conn.AcceptStream(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.conn.CloseWithError(0, "")
		time.Sleep(time.Minute)
		if got := w.canaryOf(server, "web"); got.Failures != 0 || got.Failing != "" || got.Every != 10*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

// canaryOfGroup is what the server knows of the group photos.
func canaryOfGroup(server *running) live.Canary {
	return server.server.Status().Canaries[lease.Key{Service: "photos"}]
}

// TestCanaryOfGroup: of a group only those nodes are asked that want it, as often as one of them wants at least; once none
// does, nobody is asked.
func TestCanaryOfGroup(t *testing.T) {
	groupWorld(t, 3, func(t *testing.T, w *world, homes []*outpost) {
		server := w.startServer(allow(homes...))
		for i, h := range homes {
			if i > 0 { // whom nobody asks need not answer
				h.startService()
			}
			every := []time.Duration{0, time.Minute, time.Hour}[i]
			h.start(func(s *Service) { s.Canary = every }).leasesWait(t)
		}
		time.Sleep(10 * time.Minute)
		if got := canaryOfGroup(server); got.Every != time.Minute || got.Proofs < 8 || got.Failures > 0 {
			t.Errorf("%+v", got)
		}
		homes[1].stopService()
		homes[1].node.stop()
		time.Sleep(2 * time.Hour)
		before := canaryOfGroup(server)
		if before.Every != time.Hour || before.Failures > 0 || time.Since(before.Last) > 70*time.Minute {
			t.Errorf("with one node left that wants it: %+v", before)
		}
		if err := homes[2].node.node.SetServices([]Service{{Name: "c", Upstream: web, Group: "photos"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(server.server.Status().Canaries); n != 0 {
			t.Errorf("%d are asked that nobody wants", n)
		}
	})
}

// TestCanaryNotAgreed: a node that does not know canaries cannot ask for them.
func TestCanaryNotAgreed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpWelcome, 0)
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", CanarySeconds: 10}, 2, false))
		p.wantReply(2, framing.OpFailure, framing.ErrorBadRequest)
	})
}

// TestCanaryUnasked: a node takes no canary of a server that does not know them.
func TestCanaryUnasked(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		var dialled atomic.Int64
		w.serveTCP(web, func(net.Conn) { dialled.Add(1) })
		w.startNode(expose("web", web))
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{}, 1, true))
		time.Sleep(time.Second)
		stream, err := p.conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		header, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{Service: "web", Canary: true})
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(header)
		stream.Close()
		_, err = stream.Read(make([]byte, 1))
		if code, remote := quicstream.RemoteCode(err); !remote || code != framing.ErrorBadHeader || dialled.Load() > 0 {
			t.Errorf("%v after %d dials", err, dialled.Load())
		}
	})
}

// TestCanaryBounds: no canary more often than every 10 s, less often than once a day, or over UDP.
func TestCanaryBounds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		for i, seconds := range []uint32{1, 9, 86401, 1<<32 - 1} {
			q := dialServer(w)
			s := q.sealer(w.nodeKey, framing.RoleNode, 0)
			q.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: uint64(i + 2), Features: []uint32{uint32(framing.FeatureCanaries)}}, 1, false))
			q.wantReply(1, framing.OpWelcome, 0)
			q.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", CanarySeconds: seconds}, 2, false))
			q.wantReply(2, framing.OpFailure, framing.ErrorBadRequest)
		}
	})
}

// TestCanaryOfPrivate: a private service has them, too.
func TestCanaryOfPrivate(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(net.Conn) {})
		w.startNode(withCanary("ssh", web, time.Minute, func(s *Service) { s.Private = true })).leasesWait(t)
		time.Sleep(2 * time.Minute)
		if got := w.canaryOf(server, "ssh"); got.Proofs == 0 || got.Failing != "" {
			t.Errorf("%+v", got)
		}
	})
}

// TestFirstByte: how long a visitor waits for its service is counted when its connection ends.
func TestFirstByte(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) {
			time.Sleep(3 * time.Second)
			c.Write([]byte("late"))
		})
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		if err := wantRead(c, "late", nil); err != nil {
			t.Fatal(err)
		}
		c.Close()
		eventually(t, "counted", func() bool { return server.server.Status().Counters.FirstBytes.Sum > 0 })
		if got := server.server.Status().Counters.FirstBytes.Sum; got < 3 || got > 3.2 {
			t.Errorf("%v s", got)
		}
	})
}

// TestCanaryFlood: a server that asks without end costs its node no more dials than relays may, and nothing is left.
func TestCanaryFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		var mu sync.Mutex
		dials, most := 0, 0 // now, and at once
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			dials += n
			most = max(most, dials)
		}
		node := w.startNode(withCanary("web", web, time.Hour), func(c *NodeConfig) {
			c.DialUpstream = func(ctx context.Context, _, _ string) (net.Conn, error) { // nobody answers
				count(1)
				defer count(-1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		node.leasesWait(t)
		conn := server.server.Inspect().Primary[0]
		frame, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{Service: "web", Canary: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			stream, err := conn.QUIC.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(frame)
			stream.CancelRead(1)
			stream.Close()
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most != 1024 || dials != 0 {
			t.Errorf("%d dials at once for 3000 canaries, want 1024; %d are left", most, dials)
		}
		if n := node.node.Inspect().Streams.Len(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
		node.node.Inspect().Leftovers(true, func(what string, n int) {
			if n != 0 {
				t.Errorf("%d %s are left", n, what)
			}
		})
	})
}
