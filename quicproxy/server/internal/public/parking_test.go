package public

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"apquic/quicproxy/internal/relay"
)

// TestParkedClientLeaves: a client that waits for a node that is away, and leaves, frees its place at once;
// one that sent a request and waits for the answer, with its direction closed or not, keeps it and is served.
func TestParkedClientLeaves(t *testing.T) {
	if !relay.TellsLeft {
		t.Skip("it cannot be told on this system")
	}
	for _, test := range []struct {
		name  string
		do    func(c *net.TCPConn)
		stays bool
		linux bool // only there
	}{
		{"says nothing", func(*net.TCPConn) {}, true, false},
		{"closes", func(c *net.TCPConn) { c.Close() }, false, false},
		{"resets", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, false, false},
		{"asks", func(c *net.TCPConn) { c.Write([]byte("x")) }, true, false},
		{"asks and closes a direction", func(c *net.TCPConn) { c.Write([]byte("x")); c.CloseWrite() }, true, false},
		{"asks and resets", func(c *net.TCPConn) { c.Write([]byte("x")); c.SetLinger(0); c.Close() }, false, true},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/late=%v", test.name, late), func(t *testing.T) {
				t.Parallel()
				if test.linux && runtime.GOOS != "linux" {
					t.Skip("it cannot be told on this system")
				}
				dialed, accepted := tcpPair(t)
				p := &Listener{}
				client := &Client{Conn: accepted}
				var err error
				var waiting sync.WaitGroup
				if !late {
					test.do(dialed)
				}
				ended := make(chan struct{})
				waiting.Go(func() {
					_, err = p.route(client, time.Now().Add(time.Minute), nil)
					close(ended)
				})
				for client.wait.Load() == nil && !isClosed(ended) {
					time.Sleep(time.Millisecond)
				}
				if late {
					test.do(dialed)
				}
				if test.stays {
					for range 100 {
						p.change(func() {}) // news, but no connection
					}
					if isClosed(ended) {
						t.Errorf("it does not wait: %v", err)
					}
					p.change(func() { p.closed = true })
				}
				waiting.Wait()
				if errors.Is(err, errClientLeft) == test.stays || test.stays != errors.Is(err, errPortClosed) {
					t.Errorf("it ended with %v", err)
				}
				if p.parking.places != nil {
					t.Error("its place is taken")
				}
			})
		}
	}
}

// tcpPair is a connection over loopback.
func tcpPair(t *testing.T) (dialed, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close() })
	return d.(*net.TCPConn), a.(*net.TCPConn)
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
