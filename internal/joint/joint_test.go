package joint

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, accepted} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return c.(*net.TCPConn), accepted.(*net.TCPConn)
}

// joined returns the outer ends of two connections that are joined, and what is closed when that is over.
func joined(t *testing.T) (a, b *net.TCPConn, over chan struct{}) {
	t.Helper()
	a, innerA := pair(t)
	b, innerB := pair(t)
	over = make(chan struct{})
	go func() {
		defer close(over)
		Join(innerA, innerB)
	}()
	return a, b, over
}

func want(t *testing.T, c net.Conn, text string, end error) {
	t.Helper()
	got, err := io.ReadAll(c)
	if string(got) != text || !errors.Is(err, end) {
		t.Errorf("read %.40q, %v, want %.40q, %v", got, err, text, end)
	}
}

// TestEnds: each direction ends on its own.
func TestEnds(t *testing.T) {
	t.Parallel()
	a, b, over := joined(t)
	io.WriteString(a, "question")
	a.CloseWrite()
	want(t, b, "question", nil)
	large := strings.Repeat("answer ", 100_000)
	go func() {
		io.WriteString(b, large)
		b.CloseWrite()
	}()
	want(t, a, large, nil)
	<-over
}

// TestReset: a reset crosses, whoever waits.
func TestReset(t *testing.T) {
	t.Parallel()
	a, b, over := joined(t)
	io.WriteString(a, "hello")
	io.ReadFull(b, make([]byte, 5))
	a.SetLinger(0)
	a.Close()
	want(t, b, "", syscall.ECONNRESET)
	<-over
}

// TestEarlyAnswer: who answers, and closes while the other side still sends, is heard.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	a, b, over := joined(t)
	go io.Copy(a, neverEnding{})
	io.ReadFull(b, make([]byte, 1<<20))
	io.WriteString(b, "413 too large")
	b.Close()
	got := make([]byte, 13)
	if _, err := io.ReadFull(a, got); err != nil || string(got) != "413 too large" {
		t.Errorf("%q, %v", got, err)
	}
	<-over
}

type neverEnding struct{}

func (neverEnding) Read(b []byte) (int, error) { return len(b), nil }
