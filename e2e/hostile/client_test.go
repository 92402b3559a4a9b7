//go:build linux

package hostile

import (
	"net"
	"testing"
	"time"
)

// Clients that come by the hundred and reset at once cost a place for a moment, no memory and few lines.
func TestClientsThatReset(t *testing.T) {
	server, invitation := startServer(t)
	node, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := [2]cost{server.cost(), node.cost()}
	for range 2000 {
		c, err := net.DialTimeout("tcp", public, patience)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("x"))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	neighbour.wasServed(20*time.Millisecond, 5*time.Second)
	for i, p := range []*program{server, node} {
		took := p.cost().minus(before[i])
		t.Logf("%s: %v", p.cmd.Args[0], took)
		if took.memory > 64<<20 || took.log > 8<<10 {
			t.Errorf("2000 resets cost %s %v", p.cmd.Args[0], took)
		}
		await(t, "the descriptors are given back", func() bool { return p.cost().descriptors <= before[i].descriptors+2 })
	}
}
