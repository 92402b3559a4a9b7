//go:build linux

package hostile

import (
	"net"
	"testing"
	"time"
)

// Many clients that come at once and never read make the programs grow by no more than the smallest budget
// plus a fifth, beyond the cost of as many idle connections.
func TestFirstBurst(t *testing.T) {
	const readers, budget = 300, 16e6
	server, invitation := startServer(t, "--memory", "16MB")
	node, public := startNode(t, invitation, greedyService(t), "--memory", "16MB")
	time.Sleep(time.Second)
	programs := []*program{server, node}
	var idle, greedy [2]int64
	come := func(first string, grew *[2]int64) {
		var stop [2]func() int64
		for i, p := range programs {
			stop[i] = p.watch(p.cost())
		}
		clients(t, public, readers, func(c net.Conn) {
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			c.Write([]byte(first))
		})
		time.Sleep(trickling)
		for i := range programs {
			grew[i] = stop[i]()
		}
	}
	come("echo", &idle)
	come("x", &greedy)
	for i, name := range []string{"server", "node"} {
		t.Logf("the %s took %d KiB for idle connections, %d KiB for greedy ones", name, idle[i]>>10, greedy[i]>>10)
		if greedy[i]-idle[i] > budget+budget/5 {
			t.Errorf("the %s took %d KiB for %d readers, and %d KiB for as many idle connections", name, greedy[i]>>10, readers, idle[i]>>10)
		}
	}
}

// Connections that are open already and all ask at the same moment, without ever reading, make the programs grow
// by no more than that beyond what as many cost that ask for little.
func TestBurstAtOnce(t *testing.T) {
	const readers, budget = 900, 16e6
	grown := func(first string) (grew [2]int64) {
		server, invitation := startServer(t, "--memory", "16MB")
		node, public := startNode(t, invitation, greedyService(t), "--memory", "16MB")
		now := make(chan struct{})
		clients(t, public, readers, func(c net.Conn) {
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			<-now
			c.Write([]byte(first))
		})
		time.Sleep(2 * time.Second)
		var stop [2]func() int64
		for i, p := range []*program{server, node} {
			stop[i] = p.watch(p.cost())
		}
		close(now)
		time.Sleep(trickling)
		for i := range grew {
			grew[i] = stop[i]()
		}
		return grew
	}
	little, greedy := grown("echo"), grown("x")
	for i, name := range []string{"server", "node"} {
		t.Logf("the %s took %d KiB for those that ask for little, %d KiB for greedy ones", name, little[i]>>10, greedy[i]>>10)
		if greedy[i]-little[i] > budget+budget/5 {
			t.Errorf("the %s took %d KiB for %d readers, and %d KiB for as many that ask for little", name, greedy[i]>>10, readers, little[i]>>10)
		}
	}
}
