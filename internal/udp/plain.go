package udp

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// plainConn is the face of a Conn to quic-go: a connection without batches.
type plainConn struct{ c *Conn }

// systemConn is a plainConn whose sockets are the system's. quic-go sets options on them.
type systemConn struct{ plainConn }

func newPlainFace(c *Conn, s *socket) net.PacketConn {
	if _, ok := s.PacketConn.(syscall.Conn); ok {
		return systemConn{plainConn{c}}
	}
	return plainConn{c}
}

// SyscallConn is that of the newest socket.
func (p systemConn) SyscallConn() (syscall.RawConn, error) {
	return p.c.newest.Load().PacketConn.(syscall.Conn).SyscallConn()
}

func (p plainConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		s, late, err := p.c.turn()
		if err != nil {
			return 0, nil, err
		}
		if late != nil {
			m := [1]ipv4.Message{{Buffers: [][]byte{b}}}
			if late.take(m[:]) > 0 {
				return m[0].N, m[0].Addr, nil
			}
			continue
		}
		n, from, err := s.ReadFrom(b)
		if err == nil {
			p.c.received(s)
			return n, from, nil
		}
		p.c.readFailed(s, err)
	}
}

func (p plainConn) WriteTo(b []byte, to net.Addr) (int, error) {
	p.c.last.keep(b, 0, to)
	for {
		s := p.c.newest.Load()
		n, err := s.WriteTo(b, to)
		if err == nil {
			return n, nil
		}
		if again, err := p.c.writeFailed(s, err, false); err != nil {
			return 0, err
		} else if !again {
			return len(b), nil
		}
	}
}

func (p plainConn) Close() error { return p.c.Close() }

func (p plainConn) LocalAddr() net.Addr { return p.c.newest.Load().LocalAddr() }

func (p plainConn) SetDeadline(t time.Time) error {
	p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

// SetReadDeadline applies to all sockets, including future ones.
func (p plainConn) SetReadDeadline(t time.Time) error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.deadline = t
	p.c.wake()
	if s := p.c.newest.Load(); !s.disturbed { // otherwise the reader is about to ask for its turn
		return s.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline applies to the newest socket. A write that times out counts as lost.
func (p plainConn) SetWriteDeadline(t time.Time) error {
	return p.c.newest.Load().SetWriteDeadline(t)
}

// SetReadBuffer applies to the newest socket and future ones.
func (p plainConn) SetReadBuffer(bytes int) error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.readBuffer = bytes
	return setReadBuffer(p.c.newest.Load().PacketConn, bytes)
}

// SetWriteBuffer applies to the newest socket and future ones.
func (p plainConn) SetWriteBuffer(bytes int) error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.writeBuffer = bytes
	return setWriteBuffer(p.c.newest.Load().PacketConn, bytes)
}
