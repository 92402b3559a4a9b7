// Package datagram reads UDP datagrams of any size, and holds memory for them only while there are some to
// read; and it writes without waiting. The socket under QUIC, whose datagrams are small, is package udp.
//
// It must not know where the datagrams go.
package datagram

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// maxSize is more than the largest payload that UDP has.
const maxSize = 64 << 10

// buffers has *[maxSize]byte.
var buffers = sync.Pool{New: func() any { return new([maxSize]byte) }}

// Handler gets a datagram, which is valid only during the call, with its sender, and the address of this
// machine that it was sent to if TellLocal was called and the system says.
type Handler func(payload []byte, from netip.AddrPort, local netip.Addr)

// Reader reads from a socket. One goroutine at a time may use it.
type Reader struct {
	conn   net.PacketConn
	raw    syscall.RawConn // nil: not a socket of the system that can be waited for without memory
	single func(fd uintptr) bool
	oob    []byte // for control messages
	handle Handler
	err    error
}

// NewReader returns a Reader of a socket, which may be connected.
func NewReader(conn net.PacketConn) *Reader {
	r := &Reader{conn: conn, oob: make([]byte, oobSize)}
	if c, ok := conn.(syscall.Conn); ok && canTry {
		if raw, err := c.SyscallConn(); err == nil {
			r.raw, r.single = raw, r.try
		}
	}
	return r
}

// Read waits for datagrams and hands some over, at least one.
// Errors are those of the socket, such as ECONNREFUSED of a connected one; most do not end it.
func (r *Reader) Read(handle Handler) error {
	if r.raw == nil {
		return r.readBlocking(handle)
	}
	r.handle, r.err = handle, nil
	if err := r.raw.Read(r.single); err != nil {
		return err // closed, or the deadline passed
	}
	return r.err
}

func (r *Reader) readBlocking(handle Handler) error {
	buffer := buffers.Get().(*[maxSize]byte)
	defer buffers.Put(buffer)
	n, from, err := r.conn.ReadFrom(buffer[:])
	if err != nil {
		return err
	}
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return nil
	}
	ap := udp.AddrPort()
	handle(buffer[:n], netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), netip.Addr{})
	return nil
}
