package quicproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"apquic/framing"
	"apquic/internal/testrace"
	"apquic/quicproxy"
)

// someBytes are such that every lost, doubled or misplaced byte shows.
func someBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// wantBytes reads as many bytes as want has, and compares.
func wantBytes(c net.Conn, want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	for i := range n {
		if got[i] != want[i] {
			return fmt.Errorf("wrong bytes from %d on", i)
		}
	}
	return err
}

// serveWhenAsked is a service that sends data for one byte and waits for another.
func serveWhenAsked(data []byte) func(net.Conn) {
	return func(c net.Conn) {
		io.ReadFull(c, make([]byte, 1))
		c.Write(data)
		io.ReadFull(c, make([]byte, 1))
	}
}

// TestLossyTransfers: on a link that loses packets, with lanes that open meanwhile, every byte arrives once
// and in order.
func TestLossyTransfers(t *testing.T) {
	for _, direction := range []string{"down", "up"} {
		t.Run(direction, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				const relays = 6
				data := someBytes(testrace.Whole(5<<20, 1<<20), 1)
				w.net.SetLatency(75 * time.Millisecond)
				w.startServer()
				served := make(chan error, relays)
				serve := func(c net.Conn) error { return wantBytes(c, data) }
				visit := func(c net.Conn) error {
					_, err := c.Write(data)
					return errors.Join(err, closeWriteErr(c), wantRead(c, "", nil))
				}
				if direction == "up" {
					serve, visit = func(c net.Conn) error {
						_, err := c.Write(data)
						return errors.Join(err, closeWriteErr(c), wantRead(c, "", nil))
					}, func(c net.Conn) error { return wantBytes(c, data) }
				}
				w.serveTCP(web, func(c net.Conn) { served <- serve(c) })
				w.startNode(expose("web", web)).leasesWait(t)
				w.net.SetLoss(0.01, 1)
				var visits sync.WaitGroup
				for range relays {
					visits.Go(func() {
						c := w.visit("20000")
						defer c.Close()
						c.SetDeadline(time.Time{})
						if err := visit(c); err != nil {
							t.Errorf("visitor: %v", err)
						}
					})
				}
				visits.Wait()
				for range relays {
					if err := <-served; err != nil {
						t.Errorf("service: %v", err)
					}
				}
			})
		})
	}
}

// TestFirstBytes: clients that have sent much when their relay begins, and then more, get back what they sent
// and nothing of others. On real sockets: there, what was sent goes out with the header.
func TestFirstBytes(t *testing.T) {
	t.Parallel()
	w := newTunnel(t, Service{Name: "web", Upstream: upstream(t, echo)})
	w.stopNode()
	eventuallyReal(t, "the node gone", func() bool { return len(w.server.Status().Sessions) == 0 })
	const clients, first = 10, 20_000
	var talks sync.WaitGroup
	for i := range clients {
		data := someBytes(2<<20, uint64(i))
		c := w.dial("web")
		if _, err := c.Write(data[:first]); err != nil {
			t.Fatal(err)
		}
		talks.Go(func() {
			c.SetDeadline(time.Now().Add(time.Minute))
			if err := wantBytes(c, data[:first]); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			go func() {
				c.Write(data[first:])
				c.CloseWrite()
			}()
			if err := wantBytes(c, data[first:]); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			c.Close()
		})
	}
	w.startNode()
	talks.Wait()
}

// TestRelayNumbers: relay numbers are never reused, so that late data of one relay cannot reach another.
func TestRelayNumbers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		first := w.visit("20000")
		exchange(t, first, "what the first client sent and nobody else may see")
		w.nat.Cut()
		killConnections(server.server)
		time.Sleep(time.Second)
		first.(lingerer).SetLinger(0)
		first.Close()
		time.Sleep(quicproxy.DefaultIdleTimeout + 10*time.Second) // the node knows, too, and connects as soon as it can
		second := w.visit("20000")
		io.WriteString(second, "hello")
		w.nat.Restore()
		if err := wantPrefix(second, "hello"); err != nil {
			t.Error(err)
		}
	})
}

// TestOutageAfterMove: what an outage stops, on a stream that was reopened before, resumes after it.
func TestOutageAfterMove(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		data := someBytes(3<<20, 1)
		server := w.startServer()
		w.serveTCP(web, serveWhenAsked(data))
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		time.Sleep(time.Second)
		killConnections(server.server)
		time.Sleep(5 * time.Second)
		io.WriteString(c, "x")
		time.Sleep(100 * time.Millisecond)
		w.nat.Cut()
		time.Sleep(75 * time.Second)
		w.nat.Restore()
		begin := time.Now()
		if err := wantBytes(c, data); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("the rest came after %v", took)
		}
	})
}

// TestSlowReaderAfterMove: a slow reader gets everything, however long that takes and whatever has ended
// meanwhile.
func TestSlowReaderAfterMove(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		data := someBytes(6<<20, 1)
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) {
			io.ReadFull(c, make([]byte, 1))
			c.Write(data)
		})
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		c.SetDeadline(time.Time{})
		time.Sleep(time.Second)
		killConnections(server.server)
		time.Sleep(5 * time.Second)
		io.WriteString(c, "x")
		closeWriteErr(c)
		for rest := data; len(rest) > 0; time.Sleep(time.Second) {
			n := min(len(rest), 8<<10)
			if err := wantBytes(c, rest[:n]); err != nil {
				t.Fatalf("after %d bytes: %v", len(data)-len(rest), err)
			}
			rest = rest[n:]
		}
		if err := wantRead(c, "", nil); err != nil {
			t.Error(err)
		}
	})
}

// TestResetOfNewRelay: a relay that only the node knows to have begun ends there, too, when the client has
// left.
func TestResetOfNewRelay(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		left := make(chan error, 1)
		w.serveTCP(web, func(c net.Conn) {
			io.WriteString(c, "220 welcome")
			_, err := io.Copy(io.Discard, struct{ io.Reader }{c})
			left <- err
		})
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		if err := wantPrefix(c, "220 welcome"); err != nil {
			t.Fatal(err)
		}
		w.nat.Cut()
		killConnections(server.server)
		time.Sleep(100 * time.Millisecond)
		c.(lingerer).SetLinger(0)
		c.Close()
		time.Sleep(2 * time.Minute)
		w.nat.Restore()
		if err := <-left; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the service sees %v", err)
		}
	})
}

// TestDrainWithLanes: a stopping process waits for relays wherever they are.
func TestDrainWithLanes(t *testing.T) {
	for _, who := range []string{"server", "node"} {
		t.Run(who, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(func(c *ServerConfig) { c.Drain = 20 * time.Second })
				w.serveTCP(web, echo)
				node := w.startNode(expose("web", web), func(c *NodeConfig) { c.Drain = 20 * time.Second }).leasesWait(t)
				node.node.Inspect().WantLanes()
				eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) == 4 })
				c := w.visit("20000")
				exchange(t, c, "on a lane")
				begin := time.Now()
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					map[string]*running{"server": server, "node": node}[who].stop()
				}()
				time.Sleep(3 * time.Second)
				exchange(t, c, "while it stops")
				c.Close()
				<-stopped
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("it stopped after %v", took)
				}
			})
		})
	}
}

// TestBytesOfOthers: a peer that acks what was never sent, while that is being sent, gets only a reset.
func TestBytesOfOthers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) { time.Sleep(time.Hour) }) // reads nothing
		node := w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		go c.Write(bytes.Repeat([]byte("x"), 8<<20))
		time.Sleep(time.Second)
		tell := func(received uint64) {
			node.node.Inspect().Conn.Control.Send(framing.OpProgress, &framing.Progress{
				Relays: []*framing.RelayProgress{{Relay: 1, Received: received}},
			})
			time.Sleep(time.Second)
		}
		tell(64 << 10)
		if relays, _ := server.server.Inspect().Associations[0].Size(); relays != 1 {
			t.Fatal("the relay does not run")
		}
		tell(64 << 20)
		if relays, _ := server.server.Inspect().Associations[0].Size(); relays != 0 {
			t.Error("the relay still runs")
		}
	})
}
