package quicproxy_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/relay"
)

// greedy asks for endless data over n relays and reads none of it.
func (w *world) greedy(n int, port string) (clients []net.Conn) {
	w.t.Helper()
	for range n {
		c := w.visit(port)
		c.SetDeadline(time.Time{})
		writeErr(c, "x")
		clients = append(clients, c)
	}
	return clients
}

func serveEndless(c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
		endless(c)
	}
}

// isOpen reports whether a relay still runs.
func isOpen(c net.Conn) bool {
	_, err := c.Write([]byte("x"))
	return err == nil
}

// TestMemoryBudget: when readers that do not read cost more than the budget, those that have not read for
// longest lose their relays and are named, and nobody else suffers. Without a budget a few stopped readers
// take all memory of the server.
func TestMemoryBudget(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const affordable = 5
		server := w.startServer(func(c *ServerConfig) {
			c.Memory = affordable * (quicconfig.MaxStreamWindow/2 + buffer.Size) // as much as so many relays may cost
		})
		w.serveTCP(web, serveEndless)
		w.serveTCP("192.168.1.101:81", echo)
		w.startNode(expose("web", web), expose("zecho", "192.168.1.101:81")).leases.wait(t, 2)
		neighbour := w.visit("20001")
		exchange(t, neighbour, "before")
		idle := w.visit("20001")
		exchange(t, idle, "idle")

		first := w.greedy(4, "20000")
		time.Sleep(time.Minute)
		if n := server.server.Status().Counters.Stalled; n != 0 {
			t.Fatalf("%d relays reset within the budget", n)
		}
		second := w.greedy(100, "20000")
		time.Sleep(time.Minute)
		stalled := server.server.Status().Counters.Stalled
		if stalled < 4 || stalled > 99 {
			t.Errorf("%d relays reset", stalled)
		}
		if n := w.logged.count("its reader does not read"); n == 0 || n > int(stalled) {
			t.Errorf("%d of %d are in the log", n, stalled)
		}
		for i, c := range first {
			if isOpen(c) {
				t.Errorf("relay %d, stalled for longest, still runs", i)
			}
		}
		open := 0
		for _, c := range second {
			if isOpen(c) {
				open++
			}
		}
		if open == 0 || open+int(stalled) != 104 {
			t.Errorf("%d relays still run, %d were reset", open, stalled)
		}
		exchange(t, neighbour, "after")
		exchange(t, idle, "after")
	})
}

// TestMemoryBudgetOfNode: the same at home, when a service does not read.
func TestMemoryBudgetOfNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		over := make(chan struct{})
		w.serveTCP(web, func(c net.Conn) { <-over })
		w.serveTCP("192.168.1.101:81", echo)
		w.startNode(expose("web", web), expose("zecho", "192.168.1.101:81"), func(c *NodeConfig) {
			c.Memory = 1 << 20
		}).leases.wait(t, 2)
		neighbour := w.visit("20001")
		exchange(t, neighbour, "before")
		for range 20 {
			c := w.visit("20000")
			c.SetDeadline(time.Time{})
			go endless(c)
		}
		time.Sleep(time.Minute)
		if n := w.logged.count("its reader does not read"); n == 0 {
			t.Error("no relay was reset")
		}
		exchange(t, neighbour, "after")
		close(over)
	})
}

// TestMemoryBudgetOfManyNodes: the server's budget is one for all its nodes.
func TestMemoryBudgetOfManyNodes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const nodes = 100
		server := w.startServer(func(c *ServerConfig) { c.Memory = 4 << 20 })
		w.serveTCP(web, serveEndless)
		w.serveTCP("192.168.1.101:81", echo)
		for i := range nodes {
			w.startNode(expose("web", web), func(c *NodeConfig) { c.Key = newKey(t) }).leasesWait(t)
			w.greedy(1, fmt.Sprint(20000+i))
		}
		w.startNode(expose("echo", "192.168.1.101:81")).leasesWait(t)
		time.Sleep(time.Minute)
		status := server.server.Status()
		if n := status.Counters.Stalled; n < 50 || n >= nodes {
			t.Errorf("%d relays reset", n)
		}
		if len(status.Sessions) != nodes+1 {
			t.Errorf("%d sessions", len(status.Sessions))
		}
		exchange(t, w.visit(fmt.Sprint(20000+nodes)), "after")
	})
}

// TestClientLimits: one client that opens as many connections as it can is refused above its limit, and
// others are served: otherwise a single address could lock everybody out of a service.
func TestClientLimits(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.MaxClients, c.MaxClientsPerAddress = 50, 20 })
		w.serveTCP(web, echo)
		w.startNode(expose("a", web), expose("b", web)).leases.wait(t, 2)
		attacker := w.net.Host("198.51.100.66")
		var held []net.Conn
		for range 1000 {
			c, err := attacker.DialTCP(t.Context(), serverIP+":20000")
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		eventually(t, "refused", func() bool { return server.server.Status().Counters.Refused == 980 })
		exchange(t, w.visit("20000"), "another client")
		exchange(t, w.visit("20001"), "another service")
		if n := w.logged.count("level=WARN msg=\"public connection refused\""); n != 1 {
			t.Errorf("%d warnings, want one", n)
		}
		for _, c := range held {
			c.Close()
		}
		eventually(t, "room again", func() bool { return server.server.Inspect().Clients.Open() == 2 })
		c, err := attacker.DialTCP(t.Context(), serverIP+":20000")
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, "no grudge")
		c.Close()
	})
}

// waiting is how many bytes services have sent that clients have not read: in transit, in streams, or
// buffered.
func waiting(server, node *running) (bytes int64) {
	sum := func(b *carrier.Budget, count func(*relay.Relay) int64) {
		for _, r := range b.Running() {
			bytes += count(r)
		}
	}
	sum(node.node.Inspect().Memory, func(r *relay.Relay) int64 { return int64(r.ToStream()) })
	sum(server.server.Inspect().Memory, func(r *relay.Relay) int64 { return -int64(r.ToTCP()) })
	return bytes
}

// readAll reads chunks from each connection, with pauses, until the returned function is called.
func readAll(clients []net.Conn, chunk int, pause func() time.Duration) (stop func()) {
	var reading sync.WaitGroup
	for _, c := range clients {
		reading.Go(func() {
			for b := make([]byte, chunk); ; time.Sleep(pause()) {
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
			}
		})
	}
	return func() {
		for _, c := range clients {
			c.Close()
		}
		reading.Wait()
	}
}

// TestMemoryOfSlowReaders: a client that reads slowly but always costs little keeps its relay. Windows grow
// while the first bytes go into the buffers of TCP: by how much, up to 440 KiB for each client, depends on
// the order of goroutines.
func TestMemoryOfSlowReaders(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.Memory = 8 << 20 })
		w.serveTCP(web, serveEndless)
		w.startNode(expose("web", web)).leasesWait(t)
		defer readAll(w.greedy(12, "20000"), 5<<10, func() time.Duration { return 100 * time.Millisecond })() // 50 kB/s
		time.Sleep(time.Minute)
		if n := server.server.Status().Counters.Stalled; n != 0 {
			t.Errorf("%d of 12 relays that were read all the time were reset", n)
		}
	})
}

// TestMemoryOfReadersThatSlowDown: clients that read fast keep the large window, and then cost what it holds.
func TestMemoryOfReadersThatSlowDown(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.net.SetLatency(50 * time.Millisecond)
		const budget = 4 << 20
		server := w.startServer(func(c *ServerConfig) { c.Memory = budget })
		w.serveTCP(web, serveEndless)
		node := w.startNode(expose("web", web)).leasesWait(t)
		begin := time.Now()
		defer readAll(w.greedy(8, "20000"), 64<<10, func() time.Duration {
			if time.Since(begin) < testrace.Whole(2*time.Second, time.Second) {
				return time.Millisecond
			}
			return 800 * time.Millisecond
		})()
		time.Sleep(time.Minute)
		if bytes := waiting(server, node); bytes > budget {
			t.Errorf("%d MB wait, the budget is %d MB", bytes>>20, budget>>20)
		}
	})
}
