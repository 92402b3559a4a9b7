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

// writeFailed decides what an error of a write to s means: to try again, or which error to return. gso says
// that the write had several datagrams.
func (c *Conn) writeFailed(s *socket, err error, gso bool) (again bool, _ error) {
	switch {
	case c.isClosed():
		return false, c.fail("write", net.ErrClosed)
	case s != c.newest.Load():
		return true, nil // replaced meanwhile
	case errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, wsaEMSGSIZE):
		return false, err // path MTU discovery by quic-go
	case errors.Is(err, syscall.EIO) && gso:
		return false, err // quic-go goes on without GSO; for a single datagram it would end the connection
	case errors.Is(err, syscall.EPERM) && !s.retried.Swap(true):
		return true, nil // Linux sometimes refuses the first write of a socket: golang.org/issue/63322
	}
	c.trouble.Add(1)
	return false, nil
}

// large is the size from which a datagram is assumed to carry data. Ack-only ones are smaller, and repeating
// them does not bring an ack.
const large = 512

// lastDatagrams are copies of the datagram written last and of the last large one, if they are wanted.
type lastDatagrams struct {
	wanted atomic.Bool

	mu         sync.Mutex // guards the following
	any, large datagram   // any is empty if the large one is the last
}

type datagram struct {
	data []byte
	to   net.Addr
}

func (d *datagram) set(data []byte, to net.Addr) { d.data, d.to = append(d.data[:0], data...), to }

// keep copies the last datagram of b, which has several of length segment if that is not 0.
func (l *lastDatagrams) keep(b []byte, segment int, to net.Addr) {
	if !l.wanted.Load() || len(b) == 0 {
		return
	}
	if segment > 0 {
		b = b[(len(b)-1)/segment*segment:]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(b) < large {
		l.any.set(b, to)
		return
	}
	l.any.set(nil, nil)
	l.large.set(b, to)
}

// get returns the kept datagrams.
func (l *lastDatagrams) get() (all []datagram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range []datagram{l.large, l.any} {
		if len(d.data) > 0 {
			all = append(all, datagram{bytes.Clone(d.data), d.to})
		}
	}
	return all
}

// KeepLast makes Repeat possible. It costs a copy of one datagram per write.
func (c *Conn) KeepLast() { c.last.wanted.Store(true) }

// repeatLimit bounds a write to a socket that is no longer needed.
const repeatLimit = 100 * time.Millisecond

// Repeat sends the last datagram again, and the last one that carried data, from every open socket, newest
// first. It does nothing without KeepLast. QUIC ignores duplicates; if the first copy was lost, this one is
// as good. It revives a connection with a full congestion window long before its retransmission timer fires.
func (c *Conn) Repeat() {
	datagrams := c.last.get()
	for _, s := range c.sockets() {
		if s != c.newest.Load() {
			s.SetWriteDeadline(time.Now().Add(repeatLimit))
		}
		for _, d := range datagrams {
			if _, err := s.WriteTo(d.data, d.to); err != nil && !errors.Is(err, net.ErrClosed) {
				c.trouble.Add(1)
			}
		}
	}
}
