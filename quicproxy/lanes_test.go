package quicproxy_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/path"
)

// bulk opens n relays that carry as much as they can and returns the throughput over that many seconds, in
// bytes per second.
func (w *world) bulk(n int, direction string, seconds int) float64 {
	w.t.Helper()
	var moved atomic.Int64
	var clients []net.Conn
	for range n {
		port := map[string]string{"down": "20000", "up": "20001"}[direction]
		c := w.visit(port)
		c.SetDeadline(time.Time{})
		clients = append(clients, c)
		if direction == "down" {
			writeErr(c, "x")
			go io.Copy(counter{&moved}, c)
		} else {
			go endless(c)
		}
	}
	time.Sleep(2 * time.Second)
	before, uploaded := moved.Load(), w.uploaded.Load()
	time.Sleep(time.Duration(seconds) * time.Second)
	rate := float64(moved.Load()-before+w.uploaded.Load()-uploaded) / float64(seconds)
	for _, c := range clients {
		c.Close()
	}
	return rate
}

// TestLanes: on a link that loses packets a session opens lanes, several relays together get a multiple of
// what one connection carries, and idle lanes close: each of them costs memory and keepalives.
func TestLanes(t *testing.T) {
	for _, direction := range []string{"down", "up"} {
		t.Run(direction, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.net.SetLatency(25 * time.Millisecond)
				server := w.startServer()
				w.serveTCP(web, serveEndless)
				w.serveTCP("192.168.1.101:81", func(c net.Conn) { io.Copy(counter{&w.uploaded}, c) })
				w.startNode(expose("a", web), expose("b", "192.168.1.101:81")).leases.wait(t, 2)
				w.net.SetLoss(0.01, 1)
				first := w.bulk(8, direction, testrace.Whole(8, 3))
				if n := len(server.server.Status().Sessions); n < 4 {
					t.Errorf("%d connections after a lossy transfer", n)
				}
				second := w.bulk(8, direction, testrace.Whole(2, 1))
				t.Logf("8 relays, 1 %% loss: %.2f MB/s at first, then %.2f MB/s", first/1e6, second/1e6)
				// Lanes open after seconds of bulk, too few under the race detector to measure their gain.
				if oneConnection := 0.5e6; !testrace.Detector && (first < 3*oneConnection || second < 6*oneConnection) {
					t.Error("lanes bring too little")
				}
				w.net.SetLoss(0, 1)
				eventually(t, "the lanes closed", func() bool { return len(server.server.Status().Sessions) == 1 })
			})
		})
	}
}

// TestLanesEnd: the relays of a lane that dies resume over the other connections of the session.
func TestLanesEnd(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web)).leasesWait(t)
		first := w.visit("20000")
		exchange(t, first, "on the primary connection")
		node.node.Inspect().WantLanes()
		eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) == 4 })
		var clients []net.Conn
		for range 3 {
			c := w.visit("20000")
			exchange(t, c, "somewhere")
			clients = append(clients, c)
		}
		for _, s := range server.server.Status().Sessions {
			if s.Relays != 1 {
				t.Errorf("a connection has %d relays", s.Relays)
			}
		}
		if s := node.node.Status(t.Context()); s.Sent < s.Path.BytesSent+3000 || s.Received < s.Path.BytesReceived+3000 { // their handshakes
			t.Errorf("%d and %d bytes are without the lanes", s.Sent, s.Received)
		}
		server.server.Inspect().Lanes[0].QUIC.CloseWithError(99, "a test")
		exchange(t, first, "still there")
		for _, c := range clients {
			exchange(t, c, "still there, too")
		}
		exchange(t, w.visit("20000"), "a new one")
	})
}

// TestLanesShareAtOnce: simultaneous clients are spread like those that come one by one.
func TestLanesShareAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		node := w.startNode(expose("web", web)).leasesWait(t)
		node.node.Inspect().WantLanes()
		eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) == 4 })
		for range 16 {
			w.visit("20000") // no time passes between two
		}
		eventually(t, "all relays", func() bool { return server.server.Status().Counters.Relays == 16 })
		for _, s := range server.server.Status().Sessions {
			if s.Relays != 4 {
				t.Errorf("a connection has %d of 16 relays, want 4", s.Relays)
			}
		}
	})
}

// TestLaneWithoutSession: only a node with a session can add a lane.
func TestLaneWithoutSession(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		if openLane(w, 1) != nil {
			t.Error("a lane without a session")
		}
		if n := len(server.server.Status().Sessions); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestClosingLane: relays that begin while idle lanes close are not lost, whenever they come.
func TestClosingLane(t *testing.T) {
	for before := 4 * time.Millisecond; before < 60*time.Millisecond; before += 8 * time.Millisecond {
		t.Run(before.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer()
				w.serveTCP(web, echo)
				node := w.startNode(expose("web", web)).leasesWait(t)
				node.node.Inspect().WantLanes()
				eventually(t, "lanes", func() bool { return len(server.server.Status().Sessions) == 4 })
				time.Sleep(laneIdle + 2*path.LossLook - before - 100*time.Millisecond) // eventually looks ten times a second
				var clients []net.Conn
				visit := func() {
					c := w.visit("20000")
					exchange(t, c, "hello")
					clients = append(clients, c)
				}
				for range 12 {
					visit()
				}
				time.Sleep(2 * time.Second)
				for range 12 {
					visit()
				}
				time.Sleep(15 * time.Second)
				for _, c := range clients {
					exchange(t, c, "still there")
				}
			})
		})
	}
}

// TestLanesOfKilledProcess: the lanes of a killed process keep nobody from having some.
func TestLanesOfKilledProcess(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		first := w.startNode(expose("web", web)).leasesWait(t)
		for len(server.server.Status().Sessions) < 1+carrier.MaxLanes {
			first.node.Inspect().WantLanes()
			time.Sleep(time.Second)
		}
		w.nat.Cut()
		first.stop()
		w.nat.Restore()
		second := w.startNode(expose("web", web)).leasesWait(t)
		second.node.Inspect().WantLanes()
		eventually(t, "lanes of the new process", func() bool {
			own := 0
			for _, s := range server.server.Status().Sessions {
				if s.Lane && s.Instance == second.node.Inspect().Instance {
					own++
				}
			}
			return own >= 3
		})
		if n := w.logged.count("connection refused"); n != 0 {
			t.Errorf("%d lanes were refused", n)
		}
	})
}
