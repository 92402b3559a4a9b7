//go:build unix

package relay

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// readyReader reads from a connection and takes a buffer only when there is something to read.
//
// The runtime's poller tells when a socket becomes readable, but only after a read found nothing. So each
// attempt takes a buffer, tries, and gives the buffer back if the socket was empty.
type readyReader struct {
	gate     readGate
	raw      syscall.RawConn // nil: not a socket of the system
	blocking blockingReader  // for those
	attempt  func(fd uintptr) bool
	finSent  atomic.Bool // set before FIN goes out: both FINs leave a socket in the state of a reset one

	// What the last attempt brought; the kernel tells of a reset once only, so the error is kept.
	buffer *Buffer
	n      int
	err    error
	shut   bool // the gate was: nothing was tried
}

func newReadyReader(conn net.Conn, g readGate) *readyReader {
	r := &readyReader{gate: g, blocking: blockingReader{conn: conn, gate: g}}
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			r.raw, r.attempt = raw, r.tryRead
		}
	}
	return r
}

// next waits for data. With n > 0 the buffer belongs to the caller, who puts it back into Buffers;
// data and an error never come together, and an error stays.
func (r *readyReader) next() (buffer *Buffer, n int, err error) {
	if r.raw == nil {
		return r.blocking.next()
	}
	for r.err == nil {
		if err := r.raw.Read(r.attempt); err != nil {
			return nil, 0, err // closed, or the deadline passed
		}
		if !r.shut {
			break
		}
		r.gate.wait()
	}
	return r.buffer, r.n, r.err
}

// poll is next for data that is there already; otherwise n is 0.
func (r *readyReader) poll() (buffer *Buffer, n int) {
	if r.raw == nil {
		return nil, 0
	}
	ready := false
	r.raw.Read(func(fd uintptr) bool {
		ready = r.tryRead(fd)
		return true
	})
	if !ready || r.err != nil || r.shut {
		return nil, 0
	}
	return r.buffer, r.n
}

// tryRead reports false when there is nothing to read yet.
func (r *readyReader) tryRead(fd uintptr) bool {
	room := r.gate.room()
	if r.shut = room == 0; r.shut {
		r.buffer, r.n = nil, 0
		return true
	}
	buffer := Buffers.Get().(*Buffer)
	n, err := ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), buffer[:room]) })
	if n > 0 {
		r.buffer, r.n, r.err = buffer, n, nil
		return true
	}
	Buffers.Put(buffer)
	if err == syscall.EAGAIN {
		return false
	}
	switch {
	case err != nil:
		r.err = os.NewSyscallError("read", err)
	case wasReset(fd) && !r.finSent.Load():
		r.err = os.NewSyscallError("read", syscall.ECONNRESET)
	default:
		r.err = io.EOF
	}
	r.buffer, r.n = nil, 0
	return true
}

func ignoringEINTR(read func() (int, error)) (int, error) {
	for {
		n, err := read()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
