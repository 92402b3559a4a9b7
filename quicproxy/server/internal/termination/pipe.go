package termination

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// end is one end of a Pipe.
type end struct {
	in, out       net.Conn // of two pipes, each used in one direction
	local, remote net.Addr
	reset         atomic.Bool // by the other end
	linger        atomic.Bool // Close ends, otherwise it resets
	other         *end
}

// Pipe returns both ends of a connection within the program. Unlike net.Pipe it knows ends of one direction, and
// resets as TCP does: CloseWrite, and Close after SetLinger(0). The addresses are those that far reports.
func Pipe(local, remote net.Addr) (near, far net.Conn) {
	a, b := new(end), new(end)
	a.in, b.out = net.Pipe()
	b.in, a.out = net.Pipe()
	a.other, b.other = b, a
	a.local, a.remote, b.local, b.remote = remote, local, local, remote
	a.linger.Store(true)
	b.linger.Store(true)
	return a, b
}

// Read implements net.Conn.
func (e *end) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	if err == io.EOF && e.reset.Load() {
		err = &net.OpError{Op: "read", Net: "pipe", Source: e.local, Addr: e.remote, Err: syscall.ECONNRESET}
	}
	return n, err
}

// Write implements net.Conn.
func (e *end) Write(p []byte) (int, error) { return e.out.Write(p) }

// CloseWrite ends the direction to the other end.
func (e *end) CloseWrite() error { return e.out.Close() }

// SetLinger says whether Close resets the connection (0) or ends it.
func (e *end) SetLinger(seconds int) error {
	e.linger.Store(seconds != 0)
	return nil
}

// Close implements net.Conn.
func (e *end) Close() error {
	if !e.linger.Load() {
		e.other.reset.Store(true)
	}
	e.in.Close()
	return e.out.Close()
}

func (e *end) LocalAddr() net.Addr  { return e.local }
func (e *end) RemoteAddr() net.Addr { return e.remote }

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error {
	e.in.SetReadDeadline(t)
	return e.out.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error  { return e.in.SetReadDeadline(t) }
func (e *end) SetWriteDeadline(t time.Time) error { return e.out.SetWriteDeadline(t) }
