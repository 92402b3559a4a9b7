package quicproxy_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"apquic/internal/testnet"
	"apquic/internal/testrace"
)

// TestStorm: more nodes than the server accepts without a Retry come at once, and all get their ports.
func TestStorm(t *testing.T) {
	nodes := testrace.Whole(retryAboveBurst+88, 100)
	simulate(t, func(t *testing.T, w *world) {
		w.storm(t, nodes, 20*time.Second, func(i int) *testnet.Host {
			return w.net.Host(fmt.Sprintf("10.1.%d.%d", i/200, i%200+1))
		})
	})
}

// TestStormOfOneAddress: unknown nodes behind one NAT, which has only a share of the places for strangers.
func TestStormOfOneAddress(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		nodes := 500
		if testrace.Detector {
			nodes = 250 // are more than there are places, too
		}
		w.storm(t, nodes, 4*time.Second, func(int) *testnet.Host { return w.home })
	})
}

// storm starts nodes at once, and requires each to have its port in time.
func (w *world) storm(t *testing.T, nodes int, within time.Duration, host func(i int) *testnet.Host) {
	t.Helper()
	server := w.startServer()
	var (
		mu   sync.Mutex
		told = make(map[string]bool)
		half time.Duration
	)
	begin := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range nodes {
		host, config := host(i), w.nodeConfig()
		config.Key, config.Drain, config.Log = newKey(t), -1, nil
		config.Services = []Service{{Name: "web", Upstream: web}}
		config.ListenPacket = func() (net.PacketConn, error) { return host.ListenUDP(0) }
		config.OnLease = func(l Lease) {
			mu.Lock()
			defer mu.Unlock()
			if told[l.PublicAddress] = true; len(told) == nodes/2 {
				half = time.Since(begin)
			}
		}
		node, err := NewNode(config)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { node.Run(ctx) })
	}
	eventually(t, "all nodes in", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) == nodes
	})
	took := time.Since(begin)
	t.Logf("half of them after %v, all after %v", half, took)
	if took > within {
		t.Errorf("it took %v, want %v", took, within)
	}
	if got := len(server.server.Status().Leases); got != nodes {
		t.Errorf("%d leases for %d nodes", got, nodes)
	}
	stop()
	running.Wait()
}
