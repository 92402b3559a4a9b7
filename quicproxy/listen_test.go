package quicproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestListen accepts connections in the program itself.
func TestListen(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		node := w.startNode()
		listener, err := node.node.Listen(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		if got := listener.Addr().String(); got != serverIP+":20000" || listener.Addr().Network() != "tcp" {
			t.Errorf("listener address %q", got)
		}
		visitor := w.visit("20000")
		c := accept(t, listener)
		if got := c.LocalAddr().String(); got != serverIP+":20000" {
			t.Errorf("local address %q", got)
		}
		if got := c.RemoteAddr().String(); !strings.HasPrefix(got, visitorIP+":") {
			t.Errorf("remote address %q", got)
		}
		if err := errors.Join(writeErr(c, "welcome"), wantPrefix(visitor, "welcome")); err != nil {
			t.Error(err)
		}
		// FIN in one direction leaves the other open.
		closeWriteErr(visitor)
		if err := errors.Join(wantRead(c, "", nil), writeErr(c, "last words"), c.Close()); err != nil {
			t.Error(err)
		}
		if err := wantRead(visitor, "last words", nil); err != nil {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}

		// A reset arrives as one.
		visitor = w.visit("20000")
		c = accept(t, listener)
		visitor.(lingerer).SetLinger(0)
		visitor.Close()
		if err := wantRead(c, "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
		c.Close()

		// Deadlines are those of net.Conn.
		w.visit("20000")
		c = accept(t, listener)
		c.SetReadDeadline(time.Now().Add(time.Second))
		var timeout net.Error
		if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read after the deadline: %v", err)
		}
		c.Close()

		// Nobody accepted this one when the listener closes; the lease is held, not lost.
		eventually(t, "the other one over", func() bool { return node.node.Inspect().Streams.Len() == 0 })
		waiting := w.visit("20000")
		eventually(t, "the visitor queued", func() bool { return node.node.Inspect().Streams.Len() == 1 })
		listener.Close()
		if err := wantRead(waiting, "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		eventually(t, "the lease held", func() bool {
			leases := server.server.Status().Leases
			return len(leases) == 1 && !leases[0].HeldUntil.IsZero()
		})
		again, err := node.node.Listen(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Addr().String(); got != serverIP+":20000" {
			t.Errorf("address after listening again: %q", got)
		}
	})
}

func TestListenErrors(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		node := w.startNode(expose("web", "192.168.1.101:80")) // there is no server
		for _, name := range []string{"", "UPPER", "web"} {
			if _, err := node.node.Listen(t.Context(), name); err == nil {
				t.Errorf("a service %q was accepted", name)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := node.node.Listen(ctx, "app"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a server: %v", err)
		}
	})
}

// TestListenBacklog: a program that does not accept cannot pile up connections.
func TestListenBacklog(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		node := w.startNode()
		listener, err := node.node.Listen(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		for range acceptBacklog {
			w.visit("20000")
		}
		eventually(t, "the backlog full", func() bool { return node.node.Inspect().Streams.Len() == acceptBacklog })
		if err := wantRead(w.visit("20000"), "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
	})
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func writeErr(c net.Conn, text string) error {
	_, err := io.WriteString(c, text)
	return err
}
