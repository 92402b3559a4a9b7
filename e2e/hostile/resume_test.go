//go:build linux

package hostile

import (
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Thousands of relays whose connection is lost, and whose clients all speak at the same moment, cost little memory and are
// soon as good as new.
func TestThousandsOfRelaysResume(t *testing.T) {
	const relays, idleTimeout = 3000, 5 * time.Second
	short := []string{"--idle-timeout", idleTimeout.String()}
	server, invitation := startServer(t, append(short, "--max-clients", "8000", "--max-clients-per-address", "8000")...)
	node, public := startNode(t, invitation, echoService(t), append(short, "--keepalive", "1s")...)
	var all []net.Conn
	for range relays {
		c, err := net.DialTimeout("tcp", public, maxWait)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		all = append(all, c)
	}
	if _, slowest := echoAtOnce(t, all); slowest > maxWait {
		t.Fatalf("the first echo took %v", slowest)
	}
	before := [2]cost{server.cost(), node.cost()}
	watches := []func() int64{server.watch(before[0]), node.watch(before[1])}
	server.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(idleTimeout + 2*time.Second) // the node gives the connection up, and later the server finds it too old
	server.cmd.Process.Signal(syscall.SIGCONT)
	median, slowest := echoAtOnce(t, all)
	grown := [2]int64{watches[0](), watches[1]()}
	t.Logf("after the loss: median %v, slowest %v; the server has grown by %d MB, the node by %d MB", median, slowest, grown[0]>>20, grown[1]>>20)
	if slowest > 5*time.Second {
		t.Errorf("the last of %d relays answered after %v", relays, slowest)
	}
	if grown[0] > 40<<20 || grown[1] > 40<<20 {
		t.Errorf("server and node have grown by %d and %d MB", grown[0]>>20, grown[1]>>20)
	}
	if median, slowest := echoAtOnce(t, all); slowest > time.Second {
		t.Errorf("later: median %v, slowest %v", median, slowest)
	}
}

// echoAtOnce has all clients send something at the same moment, and returns how long they waited for the echo.
func echoAtOnce(t *testing.T, all []net.Conn) (median, slowest time.Duration) {
	t.Helper()
	took := make([]time.Duration, len(all))
	var talking sync.WaitGroup
	for i, c := range all {
		talking.Go(func() {
			begin, answer := time.Now(), make([]byte, 5)
			c.SetDeadline(begin.Add(2 * maxWait))
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "hello" {
				t.Errorf("the echo is %q, %v", answer, err)
			}
			took[i] = time.Since(begin)
		})
	}
	talking.Wait()
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1]
}
