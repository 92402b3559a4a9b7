package quicproxy_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/quicconfig"
)

// mover is a connection of w's node with the service web, whose relays can resume.
func mover(w *world) (*peer, *framing.Sealer) {
	w.t.Helper()
	p := dialServer(w)
	s := p.sealer(w.nodeKey, framing.RoleNode, 0)
	p.write(seal(w.t, s, framing.OpHello, &framing.Hello{Instance: 1, Features: []uint32{uint32(framing.FeatureMovingRelays)}}, 1, false))
	p.wantReply(1, framing.OpWelcome, 0)
	p.write(seal(w.t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Movable: true}, 2, false))
	p.wantReply(2, framing.OpProxyResponse, 0)
	return p, s
}

// slack is by how much a budget may briefly be exceeded, in addition to a fifth: what a few relays take
// between two checks.
const slack = 8 * buffer.Size

// watchMemory checks often whether a budget is kept; stop ends it and says whether it was.
func watchMemory(t *testing.T, b *carrier.Budget) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for most := int64(0); ; {
			if used := b.Used(); used > most {
				if most = used; most > b.Size()+b.Size()/5+slack {
					t.Errorf("%d KiB are held, the budget is %d KiB", most>>10, b.Size()>>10)
				}
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

// wantNothingHeld waits until nothing is left in a budget.
func wantNothingHeld(t *testing.T, b *carrier.Budget) {
	t.Helper()
	eventually(t, "all given back", func() bool {
		return b.Used() == 0 && b.From.Len() == 0 && len(b.Running()) == 0
	})
}

// TestTricklingNode: a node that reads everything at once and acks one byte every two seconds makes the
// server keep no more than the budget.
func TestTricklingNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.Memory = 4 << 20 })
		p, s := mover(w)
		relays := make(chan uint64, 100)
		go func() {
			for {
				stream, err := p.conn.AcceptStream(t.Context())
				if err != nil {
					return
				}
				go func() {
					header, err := framing.ReadStreamHeader(stream)
					if err != nil {
						return
					}
					relays <- header.Relay
					io.Copy(io.Discard, stream)
				}()
			}
		}()
		stop := watchMemory(t, server.server.Inspect().Memory)
		var clients []net.Conn
		for range 16 {
			c := w.visit("20000")
			c.SetDeadline(time.Time{})
			clients = append(clients, c)
			go endless(c)
		}
		var known []uint64
		for confirmed := range uint64(30) {
			time.Sleep(2 * time.Second)
			for len(relays) > 0 {
				known = append(known, <-relays)
			}
			message := new(framing.Progress)
			for _, relay := range known {
				message.Relays = append(message.Relays, &framing.RelayProgress{Relay: relay, Received: confirmed + 1})
			}
			p.write(seal(t, s, framing.OpProgress, message, 0, false))
		}
		stop()
		if n := server.server.Status().Counters.Stalled; n == 0 {
			t.Error("no relay was reset")
		}
		for _, c := range clients {
			c.Close()
		}
		p.conn.CloseWithError(0, "")
		server.stop()
		wantNothingHeld(t, server.server.Inspect().Memory)
	})
}

// TestTricklingClients: 32 public clients that read 64 KiB every 1.5 s make neither side hold more than its
// budget, and a neighbour at the same service is served all the time. The budget is as large as what all
// windows let through before the first check.
func TestTricklingClients(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer(func(c *ServerConfig) { c.Memory = 8 << 20 })
		w.serveTCP(web, func(c net.Conn) {
			first := make([]byte, 1)
			if _, err := io.ReadFull(c, first); err == nil && first[0] == 'x' {
				endless(c)
			} else if err == nil {
				c.Write(first)
				echo(c)
			}
		})
		node := w.startNode(expose("web", web), func(c *NodeConfig) { c.Memory = 8 << 20 }).leasesWait(t)
		neighbour := w.visit("20000")
		stopServer, stopNode := watchMemory(t, server.server.Inspect().Memory), watchMemory(t, node.node.Inspect().Memory)
		stop := readAll(w.greedy(32, "20000"), 64<<10, func() time.Duration { return 1500 * time.Millisecond })
		for range 30 {
			time.Sleep(time.Second)
			begin := time.Now()
			exchange(t, neighbour, "served")
			if took := time.Since(begin); took > time.Second {
				t.Errorf("the neighbour waited for %v", took)
			}
		}
		stop()
		neighbour.Close()
		stopServer()
		stopNode()
		wantNothingHeld(t, server.server.Inspect().Memory)
		wantNothingHeld(t, node.node.Inspect().Memory)
	})
}

// TestUnread: what waits in a stream is counted with the buffers that it pins, even behind a gap. It fails
// when quic-go has other fields than unread.go expects.
func TestUnread(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		p, _ := mover(w)
		c := w.visit("20000")
		c.SetDeadline(time.Time{})
		stream, err := p.conn.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for b := make([]byte, 128); ; time.Sleep(time.Millisecond) {
				if _, err := stream.WriteWithLimit(b, func(n int) int { return n }); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		const pieces = quicconfig.InitialStreamWindow / 128
		if used := server.server.Inspect().Memory.Used(); used < pieces*1452 {
			t.Errorf("%d pieces count with %d bytes, which is less than their buffers", pieces, used)
		}
	})
}
