package relay

import (
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"apquic/quicproxy/internal/memory"
)

// TestResetBesideBlockedWrite: a client that does not read resets its connection, while a write and a read
// of ours wait. The kernel tells only one of the two of the reset, mostly the write; the read must not take
// it for a FIN, or cut-off data would look complete to the service.
func TestResetBesideBlockedWrite(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a socket's state")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for range 20 {
		client, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() {
			_, err := newReadyReader(c, openGate()).next()
			read <- err
		}()
		var written atomic.Int64
		go func() {
			for chunk := make([]byte, 4<<10); ; written.Add(1) {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
		}()
		for last := int64(-1); last != written.Load(); <-time.After(20 * time.Millisecond) {
			last = written.Load() // until the write waits
		}
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		if err := <-read; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the read returned %v", err)
		}
		c.Close()
	}
}

// openGate is that of a relay with memory enough.
func openGate() readGate {
	return readGate{&Relay{Keeps: memory.New(1 << 30).Account(1).Open(nil)}}
}
