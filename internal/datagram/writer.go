package datagram

import (
	"errors"
	"net"
	"syscall"
)

// Writer writes to a connected socket, and never waits for it.
type Writer struct {
	conn   net.Conn
	raw    syscall.RawConn // nil: not a socket of the system that can be tried
	prefix []byte
}

// NewWriter returns a Writer of a connected socket. Each datagram begins with prefix.
func NewWriter(conn net.Conn, prefix []byte) *Writer {
	w := &Writer{conn: conn, prefix: prefix}
	if c, ok := conn.(syscall.Conn); ok && canTry {
		w.raw, _ = c.SyscallConn()
	}
	return w
}

// Write sends a datagram. An ICMP error that came for an earlier one, which the system reports instead of
// sending, costs nothing.
func (w *Writer) Write(payload []byte) error {
	if len(w.prefix) > 0 {
		buffer := buffers.Get().(*[maxSize]byte)
		defer buffers.Put(buffer)
		if len(w.prefix)+len(payload) > maxSize {
			return syscall.EMSGSIZE
		}
		payload = append(append(buffer[:0], w.prefix...), payload...)
	}
	err := w.write(payload)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) {
		err = w.write(payload)
	}
	return err
}

func (w *Writer) write(payload []byte) error {
	if w.raw == nil {
		_, err := w.conn.Write(payload)
		return err
	}
	var err error
	if closed := w.raw.Write(func(fd uintptr) bool {
		err = try(fd, payload)
		return true
	}); closed != nil {
		return closed
	}
	return err
}
