//go:build linux

package hostile

import (
	"io"
	"net"
	"testing"
	"time"
)

// Clients that come by the hundred and reset at once cost a place for a moment, no memory and few lines, and their neighbour
// hardly notices. They come 2000 a second, which takes less than half of two cores: as fast as one can dial is faster than the
// programs can serve, and then a neighbour waits for the processor, whatever they do.
func TestClientsThatReset(t *testing.T) {
	server, invitation := startServer(t)
	node, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := [2]cost{server.cost(), node.cost()}
	const atOnce, every, clients = 10, 5 * time.Millisecond, 8000 // for four seconds, or there are too few echoes for a median
	tick := time.NewTicker(every)
	defer tick.Stop()
	came := 0
	for range clients / atOnce {
		<-tick.C
		came += resetting(public, atOnce)
	}
	neighbour.wasServed(20*time.Millisecond, 5*time.Second)
	if came < clients/2 {
		t.Errorf("%d clients of %d were let in", came, clients)
	}
	wantCost(t, 32<<20, before, server, node)
}

// As many come as fast as one can dial: the neighbour has to wait, and is not cut off.
func TestClientsThatResetAtOnce(t *testing.T) {
	server, invitation := startServer(t)
	node, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := [2]cost{server.cost(), node.cost()}
	const clients = 8000
	if came := resetting(public, clients); came < clients/2 {
		t.Errorf("%d clients of %d were let in", came, clients)
	}
	neighbour.wasServed(time.Second, 5*time.Second)
	wantCost(t, 64<<20, before, server, node) // up to 1024 are there at once
}

// wantCost bounds what resets have cost server and node, which give the descriptors back.
func wantCost(t *testing.T, memory int64, before [2]cost, programs ...*program) {
	t.Helper()
	for i, p := range programs {
		took := p.cost().minus(before[i])
		t.Logf("%s: %v", p.cmd.Args[0], took)
		if took.memory > memory || took.log > 8<<10 {
			t.Errorf("the resets cost %s %v", p.cmd.Args[0], took)
		}
		await(t, "the descriptors are given back", func() bool { return p.cost().descriptors <= before[i].descriptors+2 })
	}
}

// resetting has clients connect one after the other, write a byte and reset. It returns how many came: others were reset before,
// since there are as many as there may be.
func resetting(public string, clients int) (came int) {
	for range clients {
		c, err := net.DialTimeout("tcp", public, maxWait)
		if err != nil {
			continue
		}
		came++
		c.Write([]byte("x"))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	return came
}

// A flood from one address leaves places for others and does not affect a neighbour.
func TestClientsFlood(t *testing.T) {
	server, invitation := startServer(t, "--max-clients-per-address", "200")
	node, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	before := [2]cost{server.cost(), node.cost()}
	for range 3000 {
		if c, err := net.DialTimeout("tcp", public, maxWait); err == nil { // else it was reset already
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
		c, err := net.DialTimeout("tcp", public, maxWait)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(maxWait))
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
