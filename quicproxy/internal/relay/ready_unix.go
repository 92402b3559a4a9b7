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
	read []byte
	err  error
	shut bool // the gate was: nothing was tried
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

// next waits for data, which belongs to the caller with the memory that it is in, which the gate gave. Data
// and an error never come together, and an error stays.
func (r *readyReader) next() ([]byte, error) {
	if r.raw == nil {
		return r.blocking.next()
	}
	for r.err == nil {
		if err := r.raw.Read(r.attempt); err != nil {
			return nil, err // closed, or the deadline passed
		}
		if !r.shut {
			break
		}
		r.gate.wait()
	}
	return r.read, r.err
}

// poll is next for data that is there already; nil: there is none.
func (r *readyReader) poll() []byte {
	if r.raw == nil {
		return nil
	}
	ready := false
	r.raw.Read(func(fd uintptr) bool {
		ready = r.tryRead(fd)
		return true
	})
	if !ready || r.err != nil || r.shut {
		return nil
	}
	return r.read
}

// tryRead reports false when there is nothing to read yet.
func (r *readyReader) tryRead(fd uintptr) bool {
	p := r.gate.take()
	r.read, r.shut = nil, p == nil
	if r.shut {
		return true
	}
	n, err := ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), p) })
	if n > 0 {
		r.read, r.err = p[:n], nil
		return true
	}
	r.gate.giveBack(p)
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
