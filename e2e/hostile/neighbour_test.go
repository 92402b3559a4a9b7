//go:build linux

package hostile

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// echoService is an upstream that returns what it gets.
func echoService(t *testing.T) string {
	t.Helper()
	return service(t, func(c net.Conn) { io.Copy(c, c) })
}

// service is an upstream that serves each connection with serve.
func service(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			stop := make(chan struct{})
			serving.Go(func() { defer close(stop); defer c.Close(); serve(c) })
			t.Cleanup(func() { c.Close(); <-stop })
		}
	})
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// neighbour is a client not involved in the attack: a repeated echo over one connection.
type neighbour struct {
	t    *testing.T
	stop chan struct{}
	done chan struct{}

	times []time.Duration // its goroutine's until done is closed
	err   error
}

// newNeighbour starts an echo through public.
func newNeighbour(t *testing.T, public string) *neighbour {
	t.Helper()
	c, err := net.Dial("tcp", public)
	if err != nil {
		t.Fatal(err)
	}
	n := &neighbour{t: t, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		defer c.Close()
		n.err = n.echo(c)
	}()
	t.Cleanup(func() { c.Close(); <-n.done })
	return n
}

func (n *neighbour) echo(c net.Conn) error {
	message := []byte("are you still there?")
	for {
		select {
		case <-n.stop:
			return nil
		default:
		}
		begin := time.Now()
		c.SetDeadline(begin.Add(maxWait))
		if _, err := c.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, len(message))); err != nil {
			return err
		}
		n.times = append(n.times, time.Since(begin))
		tick := time.NewTimer(5 * time.Millisecond)
		select {
		case <-tick.C:
		case <-n.stop:
		}
	}
}

// wasServed ends the echo and fails the test if it broke, or if its median or its slowest took too long.
func (n *neighbour) wasServed(median, slowest time.Duration) {
	n.t.Helper()
	close(n.stop)
	<-n.done
	if n.err != nil || len(n.times) == 0 {
		n.t.Fatalf("the neighbour's connection broke after %d echoes: %v", len(n.times), n.err)
	}
	slices.Sort(n.times)
	middle, worst := n.times[len(n.times)/2], n.times[len(n.times)-1]
	n.t.Logf("the neighbour: %d echoes, median %v, slowest %v", len(n.times), middle, worst)
	if middle > median || worst > slowest {
		n.t.Errorf("the neighbour waited %v in the median and %v at most, want %v and %v", middle, worst, median, slowest)
	}
}
