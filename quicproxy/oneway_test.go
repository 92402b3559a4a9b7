package quicproxy_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestOneWay: a path that no longer carries anything to the server, but still carries what the server sends,
// is detected with the next keepalive, whenever the server retransmits what was not acked.
func TestOneWay(t *testing.T) {
	for latency := 30 * time.Millisecond; latency < 70*time.Millisecond; latency += 2 * time.Millisecond {
		t.Run(latency.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				var dead atomic.Bool
				w.net.SetLatency(latency)
				w.startServer()
				time.AfterFunc(3*latency+time.Millisecond, func() { dead.Store(true) }) // Hello is out, nothing after it
				node := w.startNode(expose("web", web), w.firstSocket(&dead))
				begin := time.Now()
				node.leases.wait(t, 1)
				if took := time.Since(begin); took > DefaultKeepalive+5*time.Second {
					t.Errorf("a lease after %v", took)
				}
			})
		})
	}
}

// TestOneWayThenNone: a running relay is not left alone for long either, if something arrives while the node
// asks, and then nothing more.
func TestOneWayThenNone(t *testing.T) {
	for after := time.Second; after < 4*time.Second; after += 200 * time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				var dead atomic.Bool
				server := w.startServer()
				w.serveTCP(web, func(c net.Conn) {
					io.ReadFull(c, make([]byte, 1))
					steady(c)
				})
				w.startNode(expose("web", web), w.firstSocket(&dead)).leasesWait(t)
				f := &flows{t: t, w: w, server: server.server}
				c := f.client()
				go io.Copy(counter{&f.moved}, c)
				time.Sleep(2 * time.Second)
				dead.Store(true)
				io.WriteString(c, "x")
				time.Sleep(after)
				c.Write(make([]byte, 15<<10))
				time.Sleep(125 * time.Millisecond)
				w.nat.SetPublicIP("192.0.2.99")
				if took := f.untilMoved(time.Minute); took > 6*time.Second {
					t.Errorf("the answer came after %v", took)
				}
			})
		})
	}
}

// firstSocket makes the first socket of a node send nothing while dead is true.
func (w *world) firstSocket(dead *atomic.Bool) func(*NodeConfig) {
	return func(c *NodeConfig) {
		first := true
		c.ListenPacket = func() (net.PacketConn, error) {
			socket, err := w.home.ListenUDP(0)
			if !first {
				return socket, err
			}
			first = false
			return mortal{socket, dead}, err
		}
	}
}
