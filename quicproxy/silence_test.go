package quicproxy_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kill ends a node as kill -9 or a power cut would: no packet says that it ends.
func (w *world) kill(node *running) {
	w.home.Cut()
	node.stop()
	w.home.Restore()
}

// outcome is how a visit ended, and how long that took.
type outcome struct {
	answer string
	err    error
	took   time.Duration
}

// ask sends a line and reads the answer until its end.
func (w *world) ask(line string) <-chan outcome {
	c := w.visit("20000")
	begin, result := time.Now(), make(chan outcome, 1)
	go func() {
		io.WriteString(c, line)
		answer, err := io.ReadAll(c)
		result <- outcome{string(answer), err, time.Since(begin)}
	}()
	return result
}

// counting answers a line with its own text and counts the connections.
func counting(n *atomic.Int32) func(net.Conn) {
	return func(c net.Conn) {
		n.Add(1)
		line := make([]byte, 64)
		k, _ := c.Read(line)
		c.Write(line[:k])
	}
}

// TestNodeKilled: visitors of a killed node are refused when they have waited for it, not when its idle
// timeout has passed.
func TestNodeKilled(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var served atomic.Int32
		w.serveTCP(web, counting(&served))
		server := w.startServer()
		node := w.startNode(expose("web", web)).leasesWait(t)
		if o := <-w.ask("before"); o.err != nil || o.answer != "before" {
			t.Fatalf("%+v", o)
		}
		time.Sleep(time.Second)
		w.kill(node)
		first := w.ask("first")
		time.Sleep(5 * time.Second)
		later := w.ask("later") // the node is known to be away
		if o := <-first; !errors.Is(o.err, syscall.ECONNRESET) || o.took < defaultPark || o.took > silentAfter+defaultPark+time.Second {
			t.Errorf("the first visitor: %+v", o)
		}
		if o := <-later; !errors.Is(o.err, syscall.ECONNRESET) || o.took < defaultPark-time.Second || o.took > defaultPark+time.Second {
			t.Errorf("a later visitor: %+v", o)
		}
		if n := server.server.Status().Counters; n.Refused != 2 || n.Relays != 1 {
			t.Errorf("counted were %+v", n)
		}
	})
}

// TestNodeKilledAndBack: the next process of a killed node serves the visitors who came in between, each
// once, and the log reports no second process.
func TestNodeKilledAndBack(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var served atomic.Int32
		w.serveTCP(web, counting(&served))
		server := w.startServer()
		node := w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(time.Second)
		w.kill(node)
		first := w.ask("first")
		time.Sleep(6 * time.Second)
		later := w.ask("later")
		w.startNode(expose("web", web)).leasesWait(t)
		if o := <-later; o.answer != "later" || o.took > time.Second {
			t.Errorf("a later visitor: %+v", o)
		}
		if o := <-first; o.answer != "first" || o.took > 10*time.Second {
			t.Errorf("the first visitor: %+v", o)
		}
		if n := served.Load(); n != 2 {
			t.Errorf("%d connections were served", n)
		}
		time.Sleep(5 * time.Second)
		if w.logged.count("two processes") != 0 || w.logged.count("did not say goodbye") != 1 {
			t.Error("the log tells another story")
		}
		if n := len(server.server.Status().Sessions); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestStoppedAndBack: a node that stopped gracefully and comes back does not count as killed.
func TestStoppedAndBack(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		for range 3 {
			w.startNode(expose("web", web)).leasesWait(t).stop()
		}
		if strings.Contains(w.logged.String(), "took over from a session") || w.logged.count("two processes") > 0 {
			t.Error("the log speaks of a second process")
		}
	})
}

// TestShortOutage: a node that is briefly cut off loses nothing: what runs goes on, what begins meanwhile
// waits.
func TestShortOutage(t *testing.T) {
	for _, cut := range []time.Duration{3 * time.Second, 5 * time.Second, 9 * time.Second} {
		t.Run(cut.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				var served atomic.Int32
				w.serveTCP(web, func(c net.Conn) { served.Add(1); echo(c) })
				w.startServer()
				w.startNode(expose("web", web)).leasesWait(t)
				running, idle := w.visit("20000"), w.visit("20000")
				exchange(t, running, "before")
				exchange(t, idle, "before")
				time.Sleep(time.Second)
				w.nat.Cut()
				io.WriteString(running, "meanwhile")
				early := w.visit("20000")
				io.WriteString(early, "early")
				time.Sleep(cut - 100*time.Millisecond)
				late := w.visit("20000")
				io.WriteString(late, "late")
				time.Sleep(100 * time.Millisecond)
				w.nat.Restore()
				for c, text := range map[net.Conn]string{running: "meanwhile", early: "early", late: "late"} {
					answer := make([]byte, len(text))
					if _, err := io.ReadFull(c, answer); err != nil || string(answer) != text {
						t.Errorf("%q: %q, %v", text, answer, err)
					}
				}
				exchange(t, idle, "after")
				if n := served.Load(); n != 4 {
					t.Errorf("%d connections were served, not 4", n)
				}
			})
		})
	}
}
