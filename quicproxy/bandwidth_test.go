package quicproxy_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/quicproxy"
)

// zeros sends without end, and takes everything.
func zeros(c net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { io.Copy(io.Discard, c) })
	for data := make([]byte, 64<<10); ; {
		if _, err := c.Write(data); err != nil {
			break
		}
	}
	both.Wait()
}

// received counts what comes until a time.
func received(c net.Conn, until time.Time) (n int) {
	c.SetReadDeadline(until)
	copied, _ := io.Copy(io.Discard, struct{ io.Reader }{c})
	return int(copied)
}

// sent counts what can be sent until a time.
func sent(c net.Conn, until time.Time) (n int) {
	c.SetWriteDeadline(until)
	for data := make([]byte, 4<<10); ; {
		written, err := c.Write(data)
		if n += written; err != nil {
			return n
		}
	}
}

func wantAbout(t *testing.T, what string, got, want, slack int) {
	t.Helper()
	if got < want-slack || got > want+slack {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// TestBandwidth: the bytes per second of a service, from visitors and to them, are shared equally by its relays; the
// lower limit of node and server holds; another service has its own.
func TestBandwidth(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const in, out, seconds = 50_000, 200_000, 30
		server := w.startServer(func(c *ServerConfig) { c.Visitors.BytesIn = in })
		w.serveTCP(web, zeros)
		w.startNode(admitting(quicproxy.Visitors{BytesOut: out, BytesIn: 10 * in}), expose("free", web)).leases.wait(t, 2)
		begin := time.Now()
		until := begin.Add(seconds * time.Second)
		down, up := make([]int, 2), make([]int, 2)
		var all sync.WaitGroup
		for i := range 2 {
			c := w.visit("20000")
			all.Go(func() { down[i] = received(c, until) })
			all.Go(func() { up[i] = sent(c, until) })
		}
		free := w.visit("20001")
		all.Go(func() {
			free.SetReadDeadline(begin.Add(time.Second))
			if n, err := io.CopyN(io.Discard, free, 5*out); err != nil {
				t.Errorf("another service gets %d bytes in a second: %v", n, err)
			}
			free.Close() // at the speed of the network it would cost the test most of its time
		})
		all.Wait()
		buffered := 128 << 10 // by both sides of a simulated TCP connection
		for i := range 2 {
			wantAbout(t, "to a visitor", down[i], seconds*out/2, seconds*out/2/20)
			wantAbout(t, "from a visitor", up[i], seconds*in/2, seconds*in/2/20+buffered)
		}
		wantAbout(t, "to both", down[0]+down[1], seconds*out, seconds*out/50)
		var toNode uint64
		for endpoint, traffic := range server.server.Status().Traffic {
			if endpoint.Port == 20000 {
				toNode = traffic.ToNode
			}
		}
		wantAbout(t, "to the node", int(toNode), seconds*in, seconds*in/50)
	})
}

// TestBandwidthOfTrickle: a relay that carries little is not delayed by greedy ones.
func TestBandwidthOfTrickle(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		w.serveTCP(web, func(c net.Conn) { // the first byte says what is wanted
			first := make([]byte, 1)
			if _, err := io.ReadFull(c, first); err != nil {
				return
			}
			if first[0] == 'z' {
				zeros(c)
			}
			echo(c)
		})
		w.startNode(admitting(quicproxy.Visitors{BytesOut: 100_000, BytesIn: 100_000})).leases.wait(t, 1)
		for range 10 {
			c := w.visit("20000")
			writeErr(c, "z")
			go io.Copy(io.Discard, c)
		}
		time.Sleep(5 * time.Second)
		c := w.visit("20000")
		writeErr(c, "e")
		for range 50 {
			begin := time.Now()
			exchange(t, c, "a line of a chat")
			if took := time.Since(begin); took > 250*time.Millisecond {
				t.Fatalf("a line took %v", took)
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
}

// TestLimitedRelayEnds: a relay that waits for its turn ends at once when its visitor is gone, its lease is
// withdrawn, or the server stops; and it holds no more memory than any other.
func TestLimitedRelayEnds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, zeros)
		r := w.startNode(admitting(quicproxy.Visitors{BytesOut: 1024, BytesIn: 1024}))
		r.leases.wait(t, 1)
		var visitors []net.Conn
		for range 50 { // a turn of all takes 50 s
			c := w.visit("20000")
			visitors = append(visitors, c)
			go sent(c, time.Now().Add(time.Hour))
		}
		time.Sleep(time.Minute)
		if n := server.server.MemoryPeak(); n > 50*(256<<10) {
			t.Errorf("%d bytes are held", n)
		}
		for _, c := range visitors[:25] {
			c.(interface{ SetLinger(int) error }).SetLinger(0)
			c.Close()
		}
		time.Sleep(2 * time.Minute)
		if n := relaying(server.server); n != 2*25 { // it counts each twice
			t.Errorf("%d relays, want %d", n, 2*25)
		}
		begin := time.Now()
		server.stop()
		if took := time.Since(begin); took > 5*time.Second { // the time to drain is a second
			t.Errorf("stopping took %v", took)
		}
		synctest.Wait()
	})
}
