package scale

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"apquic/certs"
	"apquic/quicproxy/node"
)

// fleet is the nodes.
type fleet struct {
	nodes   []*node.Node
	running sync.WaitGroup
	cancel  context.CancelFunc
}

func (m *measurement) newFleet(s *server) (*fleet, error) {
	f := &fleet{cancel: func() {}}
	for i := range m.count {
		key, err := certs.GenerateKey()
		if err != nil {
			return nil, err
		}
		node, err := node.New(node.Config{
			Key:       key,
			Server:    s.invitation.Server,
			Address:   s.address,
			Network:   "udp4",
			Services:  []node.Service{{Name: "unused", Upstream: "127.0.0.1:9"}},
			Keepalive: m.keepalive,
			Drain:     -1,
			// Each would open a socket to learn of changes: 20,000 files for 10,000 nodes.
			WatchNetwork: func(ctx context.Context, _ func()) { <-ctx.Done() },
			// The server limits what comes from one address. Nodes have many.
			ListenPacket: func() (net.PacketConn, error) {
				return net.ListenUDP("udp4", &net.UDPAddr{IP: sourceAddress(i / m.perAddress)})
			},
		})
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		f.nodes = append(f.nodes, node)
	}
	return f, nil
}

// sourceAddress is the nth of the loopback addresses from 127.1.0.1 on.
func sourceAddress(n int) net.IP {
	return net.IPv4(127, byte(1+n/(250*250)), byte(n/250%250), byte(1+n%250))
}

// start starts all nodes, within a time.
func (f *fleet) start(ctx context.Context, over time.Duration) {
	ctx, f.cancel = context.WithCancel(ctx)
	for _, node := range f.nodes {
		f.running.Go(func() {
			if sleep(ctx, rand.N(max(over, 1))) == nil {
				node.Run(ctx)
			}
		})
	}
}

// stop stops all nodes and waits until they have ended.
func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
}
