package quicproxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/lease"
)

// kill ends a node as kill -9 or a power cut would: nothing of its farewell leaves the house.
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

// TestNodeKilled: visitors of a node that was killed are refused when they have waited for it, not when its idle
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
		if o := <-first; !errors.Is(o.err, syscall.ECONNRESET) || o.took < DefaultPark || o.took > silentAfter+DefaultPark+time.Second {
			t.Errorf("the first visitor: %+v", o)
		}
		if o := <-later; !errors.Is(o.err, syscall.ECONNRESET) || o.took < DefaultPark-time.Second || o.took > DefaultPark+time.Second {
			t.Errorf("a later visitor: %+v", o)
		}
		if n := server.server.Status().Counters; n.Refused != 2 || n.Relays != 1 {
			t.Errorf("counted were %+v", n)
		}
	})
}

// TestNodeKilledAndBack: the next process of a node that was killed serves the visitors who came in between, each
// once, and the log speaks of no second process.
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

// TestStoppedAndBack: a node that stopped in order and comes back is none that was killed.
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

// TestShortOutage: a node that is cut off for a moment loses nothing: what runs goes on, what begins meanwhile waits.
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

func TestSilenceMeter(t *testing.T) {
	t.Parallel()
	type packets struct{ sent, received uint64 }
	const silentLooks = int(silentAfter / silenceLook)
	repeat := func(n int, p packets) (all []packets) {
		for range n {
			all = append(all, p)
		}
		return all
	}
	for name, test := range map[string]struct {
		looks  []packets
		silent bool
	}{
		"nothing happens":                {repeat(100, packets{9, 9}), false},
		"sent and answered":              {append([]packets{{9, 9}, {10, 9}, {10, 10}}, repeat(100, packets{10, 10})...), false},
		"sent and never answered":        {append([]packets{{9, 9}, {10, 9}}, repeat(silentLooks, packets{12, 9})...), true},
		"not for long enough":            {append([]packets{{9, 9}, {10, 9}}, repeat(silentLooks-2, packets{12, 9})...), false},
		"a late acknowledgement of ours": {append([]packets{{9, 9}, {9, 10}}, repeat(100, packets{11, 10})...), false},
		"and a retransmission":           {append([]packets{{9, 9}, {9, 10}, {11, 10}, {13, 10}}, repeat(silentLooks, packets{14, 10})...), true},
		"answered in the end":            {append(append([]packets{{9, 9}, {10, 9}}, repeat(100, packets{12, 9})...), packets{13, 10}), false},
	} {
		var m silenceMeter
		now, silent := time.Unix(0, 0), false
		for _, p := range test.looks {
			silent = m.look(quic.ConnectionStats{PacketsSent: p.sent, PacketsReceived: p.received}, now) >= silentAfter
			now = now.Add(silenceLook)
		}
		if silent != test.silent {
			t.Errorf("%s: silent %v", name, silent)
		}
	}
}

// TestSilenceOfOneNode: a node that goes silent costs the server no look at the ports of others.
func TestSilenceOfOneNode(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	server, err := NewServer(ServerConfig{
		Key: newKey(t), PacketConn: socket,
		ListenPublic: func(uint16) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
	})
	if err != nil {
		t.Fatal(err)
	}
	leases := make([]lease.Lease, 3)
	for i := range leases {
		leases[i] = lease.Lease{Key: lease.Key{Node: newKey(t).ID(), Service: "web"}, Port: uint16(20000 + i)}
		if err := server.Bind(leases[i]); err != nil {
			t.Fatal(err)
		}
	}
	silent := &nodeConn{server: server, node: leases[0].Node, log: server.log}
	own, other := server.publicListener(20000), server.publicListener(20001)
	own.attach(silent, false)
	visitor, far := net.Pipe()
	defer visitor.Close()
	defer far.Close()
	own.mu.Lock()
	waits, err := own.parking.enterLocked(&publicClient{Conn: visitor}, time.Now().Add(time.Minute))
	own.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	other.mu.Lock() // whoever looks at it waits
	told := make(chan struct{})
	go func() {
		server.tellSilence(silent, true)
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the port of another node was looked at")
	}
	other.mu.Unlock()
	<-told
	select {
	case <-waits.woken:
	default:
		t.Error("its own clients were not told")
	}
	own.mu.Lock()
	own.parking.leaveLocked(waits)
	own.mu.Unlock()
	for _, l := range leases {
		server.Unbind(l)
	}
	if n := len(server.public) + len(server.publicOf); n != 0 {
		t.Errorf("%d ports or nodes are left", n)
	}
	server.listeners.Wait()
}
