package quicproxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// TestStorm: more nodes than the server takes without a Retry come at once, and all get their ports.
func TestStorm(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const nodes = retryAboveBurst + 88
		server := w.startServer()
		var (
			mu   sync.Mutex
			told = make(map[string]bool)
		)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range nodes {
			host := w.net.Host(fmt.Sprintf("10.1.%d.%d", i/200, i%200+1))
			config := w.nodeConfig()
			config.Key, config.Drain, config.Log = newKey(t), -1, nil
			config.Services = []Service{{Name: "web", Upstream: web}}
			config.ListenPacket = func() (net.PacketConn, error) { return host.ListenUDP(0) }
			config.OnLease = func(l Lease) {
				mu.Lock()
				defer mu.Unlock()
				told[l.PublicAddress] = true
			}
			node, err := NewNode(config)
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() { node.Run(ctx) })
		}
		begin := time.Now()
		eventually(t, "all nodes in", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(told) == nodes
		})
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := len(server.server.Status().Leases); got != nodes {
			t.Errorf("%d leases for %d nodes", got, nodes)
		}
		stop()
		running.Wait()
	})
}
