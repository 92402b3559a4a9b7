package udp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"
)

const swaps = 12

// plainLoopback is loopback through the face of other systems.
func plainLoopback() (net.PacketConn, error) {
	pc, err := loopback()
	return struct{ net.PacketConn }{pc}, err
}

// TestSwapUnderLoad replaces the socket of the client again and again while data flows.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() (net.PacketConn, error){"system": loopback, "plain": plainLoopback} {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+" "+direction, func(t *testing.T) {
				t.Parallel()
				c, s := newConn(t, open), newConn(t, open)
				p := connect(t, c.PacketConn(), s.PacketConn(), s.PacketConn().LocalAddr())
				from, to := stream(t, p.client, p.server)
				if direction == "down" {
					from, to = to, from
				}
				swapUnderLoad(t, c, p, from, to)
			})
		}
	}
}

// swapUnderLoad swaps each time the server has followed.
func swapUnderLoad(t *testing.T, c *Conn, p pair, from, to *quic.Stream) {
	const chunk = 64 << 10
	sent := make([]byte, chunk)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	var done atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !done.Load() {
			if _, err := from.Write(sent); err != nil {
				t.Error(err)
				return
			}
		}
		from.Close()
	})
	defer writer.Wait()
	defer done.Store(true)
	seen := map[int]bool{}
	received := make([]byte, chunk)
	for len(seen) < swaps {
		if _, err := io.ReadFull(to, received); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sent, received) {
			t.Fatal("received something else")
		}
		port := p.server.RemoteAddr().(*net.UDPAddr).Port
		if port == c.PacketConn().LocalAddr().(*net.UDPAddr).Port {
			seen[port] = true
			check(t, c.Swap())
		}
	}
	done.Store(true)
	if _, err := io.Copy(io.Discard, to); err != nil {
		t.Fatal(err)
	}
}

// flaky fails every few calls in the ways of a network that comes and goes.
type flaky struct {
	net.PacketConn
	reads, writes atomic.Uint32
}

var mishaps = []error{
	syscall.ENETUNREACH, syscall.EPERM, syscall.ENOBUFS, syscall.ENETDOWN, syscall.EIO,
	syscall.EHOSTUNREACH, syscall.ECONNREFUSED, syscall.EINVAL,
}

func (f *flaky) mishap(count *atomic.Uint32) error {
	if n := count.Add(1); n%5 == 0 {
		return &net.OpError{Op: "test", Net: "udp", Err: mishaps[n/5%uint32(len(mishaps))]}
	}
	return nil
}

func (f *flaky) ReadFrom(b []byte) (int, net.Addr, error) {
	if err := f.mishap(&f.reads); err != nil {
		return 0, nil, err
	}
	return f.PacketConn.ReadFrom(b)
}

func (f *flaky) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := f.mishap(&f.writes); err != nil {
		return 0, err
	}
	return f.PacketConn.WriteTo(b, to)
}

func TestErrorsDoNotEndConnections(t *testing.T) {
	t.Parallel()
	open := func() (net.PacketConn, error) {
		pc, err := loopback()
		return &flaky{PacketConn: pc}, err
	}
	c, s := newConn(t, open), newConn(t, open)
	p := connect(t, c.PacketConn(), s.PacketConn(), s.PacketConn().LocalAddr())
	from, to := stream(t, p.client, p.server)
	var writer sync.WaitGroup
	defer writer.Wait()
	data := make([]byte, 300<<10)
	writer.Go(func() {
		if _, err := from.Write(data); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.ReadFull(to, make([]byte, len(data))); err != nil {
		t.Fatal(err)
	}
	if c.Trouble() == 0 || s.Trouble() == 0 {
		t.Error("the errors were not counted")
	}
}

// TestSocketClosedBehind is the worst error: the socket does not come back. A Swap repairs it.
func TestSocketClosedBehind(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() (net.PacketConn, error){"system": loopback, "plain": plainLoopback} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := newConn(t, open), newConn(t, loopback)
			p := connect(t, c.PacketConn(), s.PacketConn(), s.PacketConn().LocalAddr())
			from, to := stream(t, p.client, p.server)
			c.newest.Load().PacketConn.Close()
			if _, err := from.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.PacketConn().WriteTo([]byte("x"), s.PacketConn().LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if c.Trouble() == 0 {
				t.Error("the errors were not counted")
			}
			check(t, c.Swap())
			if _, err := io.ReadFull(to, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		gso    bool
		passed bool
	}{
		{err: syscall.EMSGSIZE, passed: true},
		{err: syscall.EIO, gso: true, passed: true},
		{err: syscall.EIO},
		{err: syscall.ENOBUFS, gso: true},
		{err: syscall.EPERM},
		{err: net.ErrClosed},
	} {
		c := newConn(t, loopback)
		s := c.newest.Load()
		if test.err == syscall.EPERM {
			if again, err := c.writeFailed(s, test.err, test.gso); !again || err != nil {
				t.Errorf("the first EPERM: %v, %v, want another attempt", again, err)
			}
		}
		again, err := c.writeFailed(s, test.err, test.gso)
		if again || (err != nil) != test.passed {
			t.Errorf("%v (GSO %v): %v, %v", test.err, test.gso, again, err)
		}
		if counted := c.Trouble() == 1; counted == test.passed {
			t.Errorf("%v: counted %v", test.err, counted)
		}
		check(t, c.Swap())
		if again, err := c.writeFailed(s, test.err, test.gso); !again || err != nil {
			t.Errorf("%v of a socket replaced meanwhile: %v, %v, want another attempt", test.err, again, err)
		}
		c.Close()
		if _, err := c.writeFailed(s, test.err, test.gso); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v after Close: %v", test.err, err)
		}
	}
}
