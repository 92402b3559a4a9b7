package quicproxy_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestRealSockets repeats on the kernel's TCP what TestRelay shows in the simulation: readiness, FIN and RST
// take another path through the code.
func TestRealSockets(t *testing.T) {
	t.Parallel()
	lateAnswer := upstream(t, func(c net.Conn) {
		if request, err := io.ReadAll(c); string(request) != "x" || err != nil {
			t.Errorf("request %q, %v", request, err)
		}
		io.WriteString(c, "the whole answer")
	})
	greeting := upstream(t, func(c net.Conn) {
		io.WriteString(c, "SSH-2.0-x\r\n")
		io.Copy(io.Discard, c)
	})
	resets := upstream(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 2))
		io.WriteString(c, "before the reset")
		c.(*net.TCPConn).SetLinger(0)
	})
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	socket := t.TempDir() + "/socket"
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close() })
	go func() {
		for {
			c, err := unix.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				echo(c)
			}()
		}
	}()
	tun := newTunnel(t,
		Service{Name: "late", Upstream: lateAnswer}, Service{Name: "greeting", Upstream: greeting},
		Service{Name: "resets", Upstream: resets}, Service{Name: "nobody", Upstream: nobody},
		Service{Name: "unix", Upstream: "unix:" + socket})

	c := tun.dial("late")
	if err := errors.Join(writeErr(c, "x"), c.CloseWrite(), wantRead(c, "the whole answer", nil)); err != nil {
		t.Errorf("half-close: %v", err)
	}
	c = tun.dial("greeting")
	if err := errors.Join(wantPrefix(c, "SSH-2.0-x\r\n"), c.CloseWrite(), wantRead(c, "", nil)); err != nil {
		t.Errorf("service speaks first: %v", err)
	}
	c = tun.dial("resets")
	if err := errors.Join(writeErr(c, "hi"), wantRead(c, "before the reset", syscall.ECONNRESET)); err != nil {
		t.Errorf("service resets: %v", err)
	}
	// The reset may come before the client's system reports that it is connected.
	if c, err := net.Dial("tcp4", tun.address("nobody")); err == nil {
		if err := wantRead(c, "", syscall.ECONNRESET); err != nil {
			t.Errorf("service refuses: %v", err)
		}
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("service refuses: %v", err)
	}
	c = tun.dial("unix")
	if err := errors.Join(exchangeErr(c, "hello"), c.CloseWrite(), wantRead(c, "", nil)); err != nil {
		t.Errorf("unix socket: %v", err)
	}
}
