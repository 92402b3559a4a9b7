//go:build linux

package hostile

import (
	"io"
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
	const clients = 8000 // for two seconds, or the neighbour has too few echoes for a median
	for range clients {
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
		if took.memory > 32<<20 || took.log > 8<<10 {
			t.Errorf("%d resets cost %s %v", clients, p.cmd.Args[0], took)
		}
		await(t, "the descriptors are given back", func() bool { return p.cost().descriptors <= before[i].descriptors+2 })
	}
}

// A flood from one address leaves places for others, and a neighbour as it was.
func TestClientsFlood(t *testing.T) {
	server, invitation := startServer(t, "--max-clients-per-address", "200")
	node, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := [2]cost{server.cost(), node.cost()}
	for range 3000 {
		if c, err := net.DialTimeout("tcp", public, patience); err == nil { // else it was reset already
			t.Cleanup(func() { c.Close() })
		}
	}
	neighbour.wasServed(20*time.Millisecond, 5*time.Second)
	for i, p := range []*program{server, node} {
		took := p.cost().minus(before[i])
		t.Logf("%s: %v", p.cmd.Args[0], took)
		if took.memory > 64<<20 || took.log > 8<<10 || took.descriptors > 250 {
			t.Errorf("3000 connections from one address cost %s %v", p.cmd.Args[0], took)
		}
	}
}

// Clients that close one direction, in either order, leave nothing behind.
func TestClientsHalfClose(t *testing.T) {
	server, invitation := startServer(t)
	node, public := startNode(t, invitation, echoService(t))
	before := [2]cost{server.cost(), node.cost()}
	for i := range 300 {
		c, err := net.DialTimeout("tcp", public, patience)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte("half"))
		c.(*net.TCPConn).CloseWrite()
		if i%2 == 0 {
			if got, err := io.ReadAll(c); string(got) != "half" || err != nil {
				t.Fatalf("the echo after the half-close: %q, %v", got, err)
			}
		}
		c.Close()
	}
	for i, p := range []*program{server, node} {
		await(t, p.cmd.Args[0]+" gives the descriptors back", func() bool { return p.cost().descriptors <= before[i].descriptors+2 })
	}
}
