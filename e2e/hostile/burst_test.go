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
