package quicproxy_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestOneWay: a path that carries nothing to the server any more, but what the server sends, is found out with the next
// keepalive, whenever the server repeats what was not acked.
func TestOneWay(t *testing.T) {
	for latency := 30 * time.Millisecond; latency < 70*time.Millisecond; latency += 2 * time.Millisecond {
		t.Run(latency.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				var dead atomic.Bool
				first := true
				w.net.SetLatency(latency)
				w.startServer()
				time.AfterFunc(3*latency+time.Millisecond, func() { dead.Store(true) }) // Hello is out, nothing after it
				node := w.startNode(expose("web", web), func(c *NodeConfig) {
					c.ListenPacket = func() (net.PacketConn, error) {
						socket, err := w.home.ListenUDP(0)
						if !first {
							return socket, err
						}
						first = false
						return mortal{socket, &dead}, err
					}
				})
				begin := time.Now()
				node.leases.wait(t, 1)
				if took := time.Since(begin); took > DefaultKeepalive+5*time.Second {
					t.Errorf("a lease after %v", took)
				}
			})
		})
	}
}
