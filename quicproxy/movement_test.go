package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/wait"
)

// relaying counts the relays of all sessions, including those that wait for a connection.
func relaying(s *Server) (n int) {
	for _, a := range s.Inspect().Associations {
		relays, _ := a.Size()
		n += relays
	}
	for _, session := range s.Status().Sessions {
		n += session.Relays
	}
	return n
}

// killConnections ends all connections of nodes as a broken network would, except that both sides notice at
// once.
func killConnections(s *Server) {
	seen := s.Inspect()
	for _, c := range append(seen.Primary, seen.Lanes...) {
		go c.QUIC.CloseWithError(99, "a test")
	}
}

// TestKilledConnection: no relay is lost with its connection, whatever it carries: a visitor cannot know of
// the connection, and must not be cut off with it.
func TestKilledConnection(t *testing.T) {
	mobile(t, func(t *testing.T, w *world, f *flows) {
		killConnections(f.server)
		time.Sleep(100 * time.Millisecond)
		took := f.untilMoved(time.Minute)
		t.Logf("data again %v after the connection was killed", took)
		if took > 3500*time.Millisecond { // a pause of up to a second before the node connects, and of two between pushes
			t.Error("that is too long")
		}
	})
}

// TestOutageBeyondIdleTimeout: both sides give up their connection long before there is a path again, one of
// them much earlier than the other.
func TestOutageBeyondIdleTimeout(t *testing.T) {
	mobile(t, func(t *testing.T, w *world, f *flows) {
		w.nat.Cut()
		time.Sleep(4 * time.Minute)
		w.nat.Restore()
		took := f.untilMoved(time.Minute)
		t.Logf("data again %v after an outage of 4 minutes", took)
		if took > 5*time.Second {
			t.Error("that is too long")
		}
	}, func(c *ServerConfig) { c.IdleTimeout = 20 * time.Second })
}

// TestServerMoves: the server's name points to another address, the old one is dead.
func TestServerMoves(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		address := serverIP
		w.startServer(func(c *ServerConfig) { c.IdleTimeout = 10 * time.Second })
		w.serveTCP(web, echo)
		w.startNode(expose("web", web), func(c *NodeConfig) {
			c.Address = "server.example:8090"
			c.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr(address)}, nil
			}
		}).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		address = "203.0.113.77"
		w.machine.SetIP(address)
		exchange(t, c, "after")
	})
}

// TestResumeTime: relays do not wait for a connection for ever, and nothing is left of them.
func TestResumeTime(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.IdleTimeout, c.ResumeTime = 10*time.Second, time.Minute })
		left := make(chan error, 1)
		w.serveTCP(web, func(c net.Conn) {
			_, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			left <- err
		})
		w.startNode(expose("web", web), func(c *NodeConfig) { c.ResumeTime = time.Minute }).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		w.nat.Cut()
		time.Sleep(45 * time.Second)
		if n := relaying(server.server); n != 1 {
			t.Errorf("%d relays wait", n)
		}
		time.Sleep(time.Minute)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the visitor sees %v", err)
		}
		if err := <-left; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the service sees %v", err)
		}
		if n := relaying(server.server); n != 0 {
			t.Errorf("%d relays are left", n)
		}
		if n := server.server.Inspect().Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// TestRelaysDoNotMove: where one side does not want them to, relays end with their connection.
func TestRelaysDoNotMove(t *testing.T) {
	for name, change := range map[string]struct {
		server func(*ServerConfig)
		node   func(*NodeConfig)
	}{
		"server": {func(c *ServerConfig) { c.ResumeTime = -1 }, func(*NodeConfig) {}},
		"node":   {func(*ServerConfig) {}, func(c *NodeConfig) { c.ResumeTime = -1 }},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(change.server)
				w.serveTCP(web, echo)
				w.startNode(expose("web", web), change.node).leasesWait(t)
				c := w.visit("20000")
				exchange(t, c, "before")
				killConnections(server.server)
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the visitor sees %v", err)
				}
				exchange(t, w.visit("20000"), "a new one")
			})
		})
	}
}

// TestProcessesEnd: relays do not wait for a process that is gone for good.
func TestProcessesEnd(t *testing.T) {
	const patience = 10 * time.Second
	start := func(t *testing.T, w *world) (server, node *running, c net.Conn, left chan struct{}) {
		left = make(chan struct{}, 10)
		w.serveTCP(web, func(c net.Conn) { echo(c); left <- struct{}{} })
		server = w.startServer()
		node = w.startNode(expose("web", web)).leasesWait(t)
		c = w.visit("20000")
		exchange(t, c, "before")
		return server, node, c, left
	}
	ends := func(t *testing.T, what string, ended func()) {
		t.Helper()
		begin := time.Now()
		ended()
		if took := time.Since(begin); took > patience {
			t.Errorf("%s ends after %v", what, took)
		}
	}
	t.Run("server is killed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			server, _, _, left := start(t, w)
			w.crash(server)
			w.startServer()
			ends(t, "the upstream connection", func() { <-left })
		})
	})
	t.Run("node stops", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			_, node, c, left := start(t, w)
			go node.stop()
			ends(t, "the public connection", func() { io.ReadAll(c) })
			<-left
		})
	})
	t.Run("server stops", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			server, _, c, left := start(t, w)
			go server.stop()
			ends(t, "the public connection", func() { io.ReadAll(c) })
			ends(t, "the upstream connection", func() { <-left })
		})
	})
	t.Run("server stops while the relay waits", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			server, _, c, _ := start(t, w)
			w.nat.Cut()
			killConnections(server.server)
			time.Sleep(time.Second)
			go server.stop()
			ends(t, "the public connection", func() { io.ReadAll(c) })
		})
	})
	t.Run("node is killed and another one follows", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			_, node, c, _ := start(t, w)
			w.nat.Cut()
			node.stop()
			w.nat.Restore()
			w.startNode(expose("web", web)).leasesWait(t)
			c.SetDeadline(time.Time{})
			begin := time.Now()
			io.ReadAll(c)
			if took := time.Since(begin); took > quicproxy.DefaultIdleTimeout+patience {
				t.Errorf("the public connection ends after %v", took)
			}
		})
	})
}

// TestResetWhileAway: a relay that one side resets while there is no connection ends at the other as soon as
// there is one, and so does one whose end was not acked.
func TestResetWhileAway(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		left := make(chan error, 1)
		w.serveTCP(web, func(c net.Conn) {
			_, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			left <- err
		})
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		w.nat.Cut()
		killConnections(server.server)
		time.Sleep(time.Second)
		c.(lingerer).SetLinger(0)
		c.Close()
		time.Sleep(2 * time.Minute)
		select {
		case <-left:
			t.Fatal("the service knows without a connection")
		default:
		}
		w.nat.Restore()
		if err := <-left; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the service sees %v", err)
		}
		eventually(t, "all relays ended", func() bool { return relaying(server.server) == 0 })
	})
}

// TestRelayWhileMoving kills connections at any moment while everything happens that TCP does.
func TestRelayWhileMoving(t *testing.T) {
	for _, test := range relayCases() {
		for seed := range uint64(testrace.Whole(10, 4)) {
			t.Run(fmt.Sprint(test.name, " ", seed), func(t *testing.T) {
				simulate(t, func(t *testing.T, w *world) {
					test.run(t, w, func(server *Server) {
						random := rand.New(rand.NewPCG(seed, 0))
						kills := 1 + random.IntN(5)
						ctx, cancel := context.WithCancel(context.Background())
						var killing sync.WaitGroup
						killing.Go(func() {
							for range kills {
								wait.Sleep(ctx, 41*time.Millisecond+time.Duration(random.IntN(1<<random.IntN(32))))
								killConnections(server)
							}
						})
						t.Cleanup(func() { cancel(); killing.Wait() })
					})
				})
			})
		}
	}
}

// TestClientWhileAway: clients that come while the node's connection is dead, but not yet suspect, are served
// as soon as there is another one, with all that they have sent.
func TestClientWhileAway(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) {
			request, err := io.ReadAll(c)
			if err == nil {
				c.Write(request)
			}
		})
		node := w.startNode(expose("web", web)).leasesWait(t)
		w.nat.Cut()
		node.node.Inspect().Conn.QUIC.CloseWithError(99, "a test") // of which the server does not hear
		var clients []net.Conn
		for i := range 5 {
			c := w.visit("20000")
			io.WriteString(c, fmt.Sprint("hello ", i))
			if i%2 == 0 {
				time.Sleep(time.Second)
				io.WriteString(c, ", are you there")
			}
			clients = append(clients, c)
		}
		time.Sleep(5 * time.Second) // longer than a dead connection is believed in, shorter than clients wait
		w.nat.Restore()
		for i, c := range clients {
			io.WriteString(c, "?")
			want := fmt.Sprint("hello ", i, "?")
			if i%2 == 0 {
				want = fmt.Sprint("hello ", i, ", are you there?")
			}
			if err := errors.Join(closeWriteErr(c), wantRead(c, want, nil)); err != nil {
				t.Error(err)
			}
		}
		if n := server.server.Status().Counters.Relays; n != 5 {
			t.Errorf("%d relays, want 5", n)
		}
	})
}
