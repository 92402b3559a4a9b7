package quicproxy_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/testrace"
	"apquic/lease"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/quicconfig"
)

// TestResetAtFullWindow: a client fills the stream's window to the byte and resets. The reset must not claim
// more bytes than flow control allowed, or the node's whole connection ends.
func TestResetAtFullWindow(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		over := make(chan struct{})
		w.serveTCP(web, func(net.Conn) { <-over })
		defer close(over)
		w.startNode(expose("stall", web)).leasesWait(t)
		first := server.server.Status().Sessions[0].Since
		for size := 128 << 10; size < 320<<10; size += testrace.Whole(1200, 4800) {
			c := w.visit("20000")
			for sent := 0; sent < size; sent += 1200 {
				c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				if _, err := c.Write(make([]byte, 1200)); err != nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
			c.(lingerer).SetLinger(0)
			c.Close()
			time.Sleep(200 * time.Millisecond)
			sessions := server.server.Status().Sessions
			if len(sessions) != 1 || !sessions[0].Since.Equal(first) {
				t.Fatalf("a reset after %d bytes ended the connection of the node", size)
			}
		}
	})
}

// TestOutageUnderLoad: even a relay that fills every window outlives a cut shorter than the idle timeout.
func TestOutageUnderLoad(t *testing.T) {
	for _, direction := range []string{"from the node", "to the node"} {
		t.Run(direction, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.startServer()
				var moved atomic.Int64
				w.serveTCP(web, func(c net.Conn) {
					if direction == "to the node" {
						io.Copy(counter{&moved}, c)
						return
					}
					for chunk := make([]byte, 16<<10); ; {
						if _, err := c.Write(chunk); err != nil {
							return
						}
					}
				})
				w.startNode(expose("web", web)).leasesWait(t)
				c := w.visit("20000")
				c.SetDeadline(time.Time{})
				go func() {
					if direction == "from the node" {
						io.Copy(counter{&moved}, c)
						return
					}
					for chunk := make([]byte, 16<<10); ; {
						if _, err := c.Write(chunk); err != nil {
							return
						}
					}
				}()
				time.Sleep(200 * time.Millisecond)
				w.machine.Cut()
				time.Sleep(30 * time.Second)
				before := moved.Load()
				w.machine.Restore()
				// QUIC's retransmission timer doubles while nothing is answered: at most as long as the
				// outage again.
				for restored := time.Now(); moved.Load() == before; time.Sleep(10 * time.Millisecond) {
					if time.Since(restored) > 36*time.Second {
						t.Fatal("the relay did not survive")
					}
				}
				c.Close()
			})
		})
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestNewerProcessEnds: the older of two processes has a relay that lasts. When the newer one ends, the older
// serves new clients again.
func TestNewerProcessEnds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		old := w.visit("20000")
		old.SetDeadline(time.Time{})
		exchange(t, old, "lasting")
		newer := w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(time.Minute)
		newer.stop()
		time.Sleep(2 * time.Minute)
		exchange(t, w.visit("20000"), "served again")
		exchange(t, old, "still there")
	})
}

// hello returns a welcomed connection of w's node with the service web.
func hello(w *world, instance uint64) (*peer, *framing.Sealer) {
	w.t.Helper()
	p := dialServer(w)
	s := p.sealer(w.nodeKey, framing.RoleNode, 0)
	p.write(seal(w.t, s, framing.OpHello, &framing.Hello{Instance: instance}, 1, false))
	p.wantReply(1, framing.OpWelcome, 0)
	p.write(seal(w.t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web"}, 2, false))
	p.wantReply(2, framing.OpProxyResponse, 0)
	return p, s
}

// TestDrainingConnection: it gets no relay, whatever it requests.
func TestDrainingConnection(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p, s := hello(w, 1)
		p.write(seal(t, s, framing.OpDrain, &framing.Drain{}, 3, false))
		p.wantReply(3, framing.OpDrained, 0)
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web"}, 4, false))
		p.wantReply(4, framing.OpFailure, framing.ErrorShutdown)
		w.visit("20000")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := p.conn.AcceptStream(ctx); err == nil {
			t.Error("a relay was opened on a connection that drains")
		}
		p.write(seal(t, s, framing.OpDrain, &framing.Drain{}, 5, false))
		p.wantClose(framing.ErrorUnexpectedMessage)
	})
}

// TestStopSendingAlone: STOP_SENDING with a code ends a relay even when its reset never comes.
func TestStopSendingAlone(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p, _ := hello(w, 1)
		c := w.visit("20000")
		stream, err := p.conn.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayReset))
		begin := time.Now()
		c.Read(make([]byte, 1))
		if took := time.Since(begin); took > bytestream.ResetLinger+time.Second {
			t.Errorf("the relay went on for %v", took)
		}
	})
}

// TestManyConnections: a node that opens connection after connection costs a bounded amount.
func TestManyConnections(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		for range 3 * maxConnections {
			p, _ := hello(w, 1)
			w.visit("20000")
			if _, err := p.conn.AcceptStream(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		retiring := goroutines(").retire")
		if n := len(server.server.Status().Sessions); n > maxConnections+1 || retiring > maxConnections+1 {
			t.Errorf("%d connections, %d of them wait for their end", n, retiring)
		}
	})
}

// slowStore is slow to write.
type slowStore struct{ lease.Store }

func (s slowStore) Put(ctx context.Context, l lease.Lease, ended ...lease.Ended) (lease.Lease, error) {
	time.Sleep(8 * time.Second)
	return s.Store.Put(ctx, l, ended...)
}

// TestKeepaliveIsAnsweredAtOnce: whatever else the connection waits for.
func TestKeepaliveIsAnsweredAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.store = slowStore{w.store}
		w.startServer()
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpWelcome, 0)
		begin := time.Now()
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web"}, 2, false),
			seal(t, s, framing.OpKeepalive, &framing.Keepalive{}, 3, false))
		p.wantReply(3, framing.OpKeepaliveResponse, 0)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("answered after %v", took)
		}
		// Requests that pile up meanwhile are refused, not kept: one is being fulfilled, and a limited number
		// wait.
		for i := range maxRequests + 2 {
			p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web"}, uint64(4+i), false))
		}
		p.wantReply(maxRequests+4, framing.OpFailure, framing.ErrorBusy)
		p.wantReply(maxRequests+5, framing.OpFailure, framing.ErrorBusy)
		p.wantReply(2, framing.OpProxyResponse, 0)
	})
}

// TestServerWithoutStreams: a server that lets the node open no stream does not block it for ever.
func TestServerWithoutStreams(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		socket, err := w.machine.ListenUDP(serverUDP)
		if err != nil {
			t.Fatal(err)
		}
		tlsConfig, err := certs.ServerTLS(w.key)
		if err != nil {
			t.Fatal(err)
		}
		transport := &quic.Transport{Conn: socket, ConnectionIDLength: quicconfig.ServerConnectionIDLength}
		config := quicconfig.Server(time.Minute)
		config.MaxIncomingStreams = -1
		listener, err := transport.Listen(tlsConfig, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { transport.Close(); socket.Close() })
		w.startNode(expose("web", web))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for range 3 {
			if _, err := listener.Accept(ctx); err != nil {
				t.Fatal("the node does not try again")
			}
		}
	})
}

// TestConnectionLog: each outage is logged, with its end, and in words that help.
func TestConnectionLog(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.startNode(expose("web", web)).leasesWait(t)
		for outage := range 2 {
			time.Sleep(time.Minute)
			w.machine.Cut()
			time.Sleep(50 * time.Second)
			w.machine.Restore()
			time.Sleep(2 * time.Minute)
			lost, found := w.logged.count(`msg="not connected`), w.logged.count("msg=connected")
			if lost != outage+1 || found != outage+2 {
				t.Errorf("after outage %d: told %d times that the connection is lost, %d times that it is there", outage+1, lost, found)
			}
		}
		if !strings.Contains(w.logged.String(), "UDP port is open") {
			t.Error("the log does not tell a person what to check")
		}
		if n := len(server.server.Status().Sessions); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestEarlyAnswer: a service answers without reading everything, and closes. Its answer arrives, as it does
// without a tunnel.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	answer := bytes.Repeat([]byte("a"), 8<<10)
	service := upstream(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 64<<10)) // some of it, so that more is on its way
		c.Write(answer)
	})
	tun := newTunnel(t, Service{Name: "early", Upstream: service})
	for range 50 {
		c := tun.dial("early")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for chunk := make([]byte, 32<<10); ; {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
		}()
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if got, err := io.ReadAll(c); !bytes.Equal(got, answer) {
			t.Errorf("%d of %d bytes of the answer, then %v", len(got), len(answer), err)
		}
		c.Close()
		<-sent
	}
}

// TestLostWelcome: the server made a connection primary that the node knows nothing about, since the answer
// to its Hello was lost. The node learns of it on the connection that it uses, and becomes primary again.
func TestLostWelcome(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "before")
		hello(w, node.node.Inspect().Instance)
		begin := time.Now()
		time.Sleep(2 * time.Second)
		exchange(t, w.visit("20000"), "served by the node again")
		exchange(t, c, "the old relay lives")
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
