package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/framing"
	"apquic/internal/testrace"
	"apquic/quicproxy/internal/carrier"
)

// TestPausedReadersAfterLoss: readers that pause cost no more after a lost connection than before, and none
// is reset.
func TestPausedReadersAfterLoss(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		readers := testrace.Whole(100, 30)
		server := w.startServer(func(c *ServerConfig) { c.Memory = 128 << 20 })
		w.serveTCP(web, serveEndless)
		node := w.startNode(expose("web", web), func(c *NodeConfig) { c.Memory = 128 << 20 }).leasesWait(t)
		clients := w.greedy(readers, "20000")
		time.Sleep(time.Minute)
		before := node.node.Inspect().Memory.Used()
		for range 3 {
			killConnections(server.server)
			time.Sleep(time.Minute)
		}
		if after := node.node.Inspect().Memory.Used(); after > before*5/4+1<<20 {
			t.Errorf("the node holds %d MB after the losses, %d before", after>>20, before>>20)
		}
		open := 0
		for _, c := range clients {
			if isOpen(c) {
				open++
			}
		}
		if open != readers {
			t.Errorf("%d of %d relays are left", open, readers)
		}
	})
}

// TestManyRelaysAfterLoss: many relays that send a little now and then are as quick after a lost connection
// as before.
func TestManyRelaysAfterLoss(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		relays := testrace.Whole(500, 100)
		w.net.SetLatency(50 * time.Millisecond)
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		var clients []net.Conn
		for range relays {
			c := w.visit("20000")
			exchange(t, c, "hello")
			clients = append(clients, c)
		}
		round := func() (median, last time.Duration) {
			var mu sync.Mutex
			var took []time.Duration
			var talks sync.WaitGroup
			for _, c := range clients {
				talks.Go(func() {
					begin := time.Now()
					if err := exchangeErr(c, "hello"); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					took = append(took, time.Since(begin))
				})
			}
			talks.Wait()
			slices.Sort(took)
			return took[len(took)/2], took[len(took)-1]
		}
		before, _ := round()
		killConnections(server.server)
		time.Sleep(10 * time.Second)
		if median, last := round(); median > before*5/4 || last > 3*before {
			t.Errorf("median %v, last %v; before the loss %v", median, last, before)
		}
	})
}

// TestLossWhileDialing: a relay whose connection is lost while its upstream is dialled resumes, and the
// service is asked once.
func TestLossWhileDialing(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var asked atomic.Int32
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) { asked.Add(1); echo(c) })
		w.startNode(expose("web", web), func(c *NodeConfig) {
			dial := c.DialUpstream
			c.DialUpstream = func(ctx context.Context, network, address string) (net.Conn, error) {
				time.Sleep(time.Second)
				return dial(ctx, network, address)
			}
		}).leasesWait(t)
		for i := range 20 {
			time.Sleep(lasting + time.Second) // the node comes back soon
			c := w.visit("20000")
			writeErr(c, "a request that is larger than nothing")
			time.Sleep(time.Duration(i) * 60 * time.Millisecond)
			killConnections(server.server)
			if err := wantPrefix(c, "a request that is larger than nothing"); err != nil {
				t.Errorf("after %d ms: %v", 60*i, err)
			}
			c.Close()
		}
		if n := asked.Load(); n != 20 {
			t.Errorf("the service was asked %d times", n)
		}
	})
}

// TestUploadsAtLoss: clients that upload a little at a time, to a service that is slow to accept, are served to
// the end while loss has lanes open and makes some of them suspect; the service is asked once for each.
func TestUploadsAtLoss(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const pieces, every = 20, 20 * time.Millisecond
		clients := testrace.Whole(400, 100)
		piece := someBytes(1000, 1)
		var asked atomic.Int32
		w.net.SetLatency(25 * time.Millisecond)
		server := w.startServer()
		w.serveTCP("192.168.1.101:81", serveEndless)
		w.serveTCP(web, func(c net.Conn) {
			asked.Add(1)
			n, _ := io.Copy(io.Discard, c)
			fmt.Fprintf(c, "%d", n)
		})
		w.startNode(expose("bulk", "192.168.1.101:81"), expose("web", web), func(c *NodeConfig) {
			dial := c.DialUpstream
			c.DialUpstream = func(ctx context.Context, network, address string) (net.Conn, error) {
				time.Sleep(200 * time.Millisecond)
				return dial(ctx, network, address)
			}
		}).leases.wait(t, 2)
		w.net.SetLoss(0.01, 1)
		w.bulk(8, "down", testrace.Whole(8, 3))
		if n := len(server.server.Status().Sessions); n < 4 {
			t.Errorf("%d connections after a lossy transfer", n)
		}
		var uploads sync.WaitGroup
		for range clients {
			time.Sleep(5 * time.Millisecond)
			c := w.visit("20001")
			uploads.Go(func() {
				for range pieces {
					if _, err := c.Write(piece); err != nil {
						t.Errorf("uploading: %v", err)
						return
					}
					time.Sleep(every)
				}
				c.(interface{ CloseWrite() error }).CloseWrite()
				if answer, err := io.ReadAll(c); err != nil || string(answer) != fmt.Sprint(pieces*len(piece)) {
					t.Errorf("the answer is %q, %v", answer, err)
				}
				c.Close()
			})
		}
		uploads.Wait()
		if n := asked.Load(); int(n) != clients {
			t.Errorf("the service was asked %d times by %d clients", n, clients)
		}
	})
}

// TestHalfClosedClientGivesUp: if a client gives up a download after it has sent everything, nothing is left
// at either side, whether a connection was lost before or not.
func TestHalfClosedClientGivesUp(t *testing.T) {
	for name, lose := range map[string]bool{"on its first stream": false, "after a loss": true} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer()
				left := make(chan struct{}, 1)
				w.serveTCP(web, func(c net.Conn) {
					io.Copy(io.Discard, struct{ io.Reader }{c})
					endless(c)
					left <- struct{}{}
				})
				node := w.startNode(expose("web", web)).leasesWait(t)
				c := w.visit("20000")
				if err := errors.Join(writeErr(c, "GET"), closeWriteErr(c)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, make([]byte, 100_000)); err != nil {
					t.Fatal(err)
				}
				if lose {
					killConnections(server.server)
					if _, err := io.ReadFull(c, make([]byte, 10<<20)); err != nil {
						t.Fatal(err)
					}
				}
				c.(lingerer).SetLinger(0)
				c.Close()
				begin := time.Now()
				<-left
				eventually(t, "nothing is left", func() bool {
					relays, _ := node.node.Inspect().Association.Size()
					return relays == 0 && relaying(server.server) == 0
				})
				if took := time.Since(begin); took > 15*time.Second {
					t.Errorf("over after %v", took)
				}
			})
		})
	}
}

// TestRetiredLaneDies: the relays of a retired lane resume when its connection dies.
func TestRetiredLaneDies(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web)).leasesWait(t)
		node.node.Inspect().WantLanes()
		eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) == 4 })
		var clients []net.Conn
		for range 8 {
			c := w.visit("20000")
			exchange(t, c, "on some connection")
			clients = append(clients, c)
		}
		for _, c := range node.node.Inspect().Association.Live() {
			if lane := c.Conn.(*carrier.Conn); c.Lane {
				go lane.Finish(carrier.LongRelay, framing.DrainLaneIdle, "the lane is idle")
			}
		}
		time.Sleep(time.Second)
		killConnections(server.server)
		for _, c := range clients {
			exchange(t, c, "still there")
		}
	})
}

// TestListenedRelaysResume: connections of Node.Listen resume over the next connection, too.
func TestListenedRelaysResume(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		node := w.startNode()
		listener, err := node.node.Listen(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { echo(c); c.Close() }()
			}
		}()
		c := w.visit("20000")
		exchange(t, c, "before")
		killConnections(server.server)
		exchange(t, c, "after")
		if err := errors.Join(closeWriteErr(c), wantRead(c, "", nil)); err != nil {
			t.Error(err)
		}
		eventually(t, "nothing is left", func() bool { return relaying(server.server) == 0 })
	})
}

// TestLanesWhileRebinding: while the NAT gives every connection another mapping every five seconds, and there
// are lanes, neither new nor running clients wait for long.
func TestLanesWhileRebinding(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.net.SetLatency(5 * time.Millisecond)
		w.net.SetLoss(0.001, 1)
		server := w.startServer()
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web)).leasesWait(t)
		for range 3 {
			node.node.Inspect().WantLanes()
			time.Sleep(time.Second)
		}
		eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) >= 8 })
		var running []net.Conn
		for range 30 { // so that each connection has some
			c := w.visit("20000")
			exchange(t, c, "running")
			running = append(running, c)
		}
		var talks sync.WaitGroup
		var longest, newest atomic.Int64
		note := func(longest *atomic.Int64, begin time.Time) {
			took := int64(time.Since(begin))
			for was := longest.Load(); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
			}
		}
		end := time.Now().Add(testrace.Whole(time.Minute, 20*time.Second))
		for _, c := range running {
			talks.Go(func() {
				for ; time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
					begin := time.Now()
					if err := exchangeErr(c, "running"); err != nil {
						t.Error(err)
						return
					}
					note(&longest, begin)
				}
			})
		}
		talks.Go(func() {
			for ; time.Now().Before(end); time.Sleep(5 * time.Second) {
				w.nat.Rebind()
			}
		})
		for time.Now().Before(end) {
			talks.Go(func() {
				begin := time.Now()
				c := w.visit("20000")
				defer c.Close()
				if err := exchangeErr(c, "new"); err != nil {
					t.Error(err)
				}
				note(&newest, begin)
			})
			time.Sleep(100 * time.Millisecond)
		}
		talks.Wait()
		t.Logf("a new client waited for %v at most, a running one for %v", time.Duration(newest.Load()), time.Duration(longest.Load()))
		if time.Duration(newest.Load()) > time.Second || time.Duration(longest.Load()) > time.Second {
			t.Error("that is too long")
		}
	})
}
