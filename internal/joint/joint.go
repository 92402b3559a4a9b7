// Package joint joins two connections of any kind: bytes untouched, an end for an end in each direction on its own, a
// reset for a reset.
//
// It must not know what the connections are for. Relays of public connections have a package of their own, which
// holds less memory.
package joint

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// copySize is the size of the buffer of each direction: a record of TLS.
	copySize = 16 << 10
	// linger is how long a connection that no longer reads may still say something.
	linger = 10 * time.Second
)

// Join copies both ways until both directions have ended: an end for an end, a reset for a reset. It closes both.
func Join(a, b net.Conn) {
	j := &joint{a: a, b: b}
	var other sync.WaitGroup
	other.Go(func() { j.copy(a, b) })
	j.copy(b, a)
	other.Wait()
	if j.failed.Load() {
		j.reset()
	}
	a.Close()
	b.Close()
}

// joint is two connections that are joined.
type joint struct {
	a, b   net.Conn
	failed atomic.Bool
}

// copy copies one direction until it has ended.
func (j *joint) copy(to, from net.Conn) {
	writer := &writer{Conn: to}
	_, err := io.CopyBuffer(writer, struct{ io.Reader }{from}, make([]byte, copySize))
	switch {
	case err == nil:
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	case writer.failed:
		// A service may answer early and close: its answer may still be on the way.
		j.failed.Store(true)
		to.SetReadDeadline(time.Now().Add(linger))
	default:
		j.failed.Store(true)
		j.reset()
	}
}

func (j *joint) reset() {
	for _, c := range []net.Conn{j.a, j.b} {
		Reset(c)
	}
}

// Reset closes with RST where the kind of connection has one.
func Reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(seconds int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}

// writer notes that it was the write that failed.
type writer struct {
	net.Conn
	failed bool
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.failed = err != nil
	return n, err
}
