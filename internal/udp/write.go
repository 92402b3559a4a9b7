package udp

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// writeFailed decides what an error of a write to s means: to try again, or which error to return. gso tells
// that the write was of several datagrams at once.
func (c *Conn) writeFailed(s *socket, err error, gso bool) (again bool, _ error) {
	switch {
	case c.isClosed():
		return false, c.fail("write", net.ErrClosed)
	case s != c.newest.Load():
		return true, nil // replaced meanwhile
	case errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, wsaEMSGSIZE):
		return false, err // quic-go's search for the MTU
	case errors.Is(err, syscall.EIO) && gso:
		return false, err // quic-go goes on without GSO; for a single datagram it would end the connection
	case errors.Is(err, syscall.EPERM) && !s.retried.Swap(true):
		return true, nil // Linux sometimes refuses the first write of a socket: golang.org/issue/63322
	}
	c.trouble.Add(1)
	return false, nil
}

// lastDatagram is a copy of the datagram written last, if one is wanted.
type lastDatagram struct {
	wanted atomic.Bool

	mu   sync.Mutex // guards the following
	data []byte
	to   net.Addr
}

// keep copies the last datagram of b, which holds several of this length if segment is not 0.
func (l *lastDatagram) keep(b []byte, segment int, to net.Addr) {
	if !l.wanted.Load() || len(b) == 0 {
		return
	}
	if segment > 0 {
		b = b[(len(b)-1)/segment*segment:]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data, l.to = append(l.data[:0], b...), to
}

func (l *lastDatagram) get() ([]byte, net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.data), l.to
}

// KeepLast makes Repeat possible. It costs a copy of one datagram at each write.
func (c *Conn) KeepLast() { c.last.wanted.Store(true) }

// repeatLimit bounds a write to a socket that nobody needs any more.
const repeatLimit = 100 * time.Millisecond

// Repeat sends the datagram that was written last once more, from every open socket, and does nothing if
// there is none (KeepLast). QUIC ignores duplicates; if the first copy was lost, this one is as good. It gets
// a connection going whose congestion window is full, long before its retransmission timer fires.
func (c *Conn) Repeat() {
	data, to := c.last.get()
	if to == nil {
		return
	}
	for _, s := range c.sockets() {
		if s != c.newest.Load() {
			s.SetWriteDeadline(time.Now().Add(repeatLimit))
		}
		if _, err := s.WriteTo(data, to); err != nil && !errors.Is(err, net.ErrClosed) {
			c.trouble.Add(1)
		}
	}
}
