package testnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// bufferSize is how many bytes a connection takes in one direction before the writer waits for the reader.
const bufferSize = 64 << 10

// tcpConn is one end of a TCP connection in memory. It follows Linux, where a write is in the peer's receive
// buffer at once as on loopback:
//   - A reset does not take away what the peer received before it.
//   - An error of the connection (ECONNRESET, or EPIPE if the peer had sent FIN) is reported by one call
//     alone, the first read or write. After it reads end with io.EOF and writes with EPIPE.
//   - Close with unread data, or after SetLinger(0), resets. So does data for an end that was closed.
//   - CloseRead only ends waiting: data that arrives later can still be read.
type tcpConn struct {
	network       *Network
	local, remote *net.TCPAddr
	peer          *tcpConn
	*wire

	// Guarded by the wire's mutex.
	received      []byte // by this end, not yet read
	finReceived   bool
	finSent       bool
	readShut      bool
	done          bool  // reset, or FIN went both ways
	err           error // of the connection, not yet reported
	closed        bool  // by the owner of this end
	noLinger      bool
	readDeadline  deadline
	writeDeadline deadline
}

func (c *tcpConn) LocalAddr() net.Addr  { return c.local }
func (c *tcpConn) RemoteAddr() net.Addr { return c.remote }

func (c *tcpConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; ; c.changed.Wait() {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case len(b) == 0:
			return 0, nil
		case c.readDeadline.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(c.received) > 0:
			n := copy(b, c.received)
			if c.received = c.received[n:]; len(c.received) == 0 {
				c.received = nil
			}
			c.changed.Broadcast()
			return n, nil
		case c.finReceived:
			return 0, io.EOF
		case c.err != nil:
			return 0, c.fail("read", c.takeErrorLocked())
		case c.readShut || c.done:
			return 0, io.EOF
		}
	}
}

func (c *tcpConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for written := 0; ; c.changed.Wait() {
		switch {
		case c.closed:
			return written, c.fail("write", net.ErrClosed)
		case c.writeDeadline.passed():
			return written, c.fail("write", os.ErrDeadlineExceeded)
		case c.err != nil:
			return written, c.fail("write", c.takeErrorLocked())
		case c.finSent || c.done:
			return written, c.fail("write", syscall.EPIPE)
		}
		written += c.sendLocked(b[written:])
		if written == len(b) {
			return written, nil
		}
	}
}

// sendLocked hands the peer as much of b as it has room for. An end that will never read answers with RST,
// which the write that caused it does not notice.
func (c *tcpConn) sendLocked(b []byte) int {
	p := c.peer
	if p.closed || p.readShut && p.finSent {
		if len(b) > 0 {
			p.resetLocked()
			c.resetLocked()
		}
		return len(b)
	}
	n := min(len(b), bufferSize-len(p.received))
	if n > 0 { // otherwise two waiting writers would wake each other for ever
		p.received = append(p.received, b[:n]...)
		c.changed.Broadcast()
	}
	return n
}

// resetLocked is the arrival of RST at this end.
func (c *tcpConn) resetLocked() {
	if c.done {
		return
	}
	c.done, c.err = true, syscall.ECONNRESET
	if c.finReceived {
		c.err = syscall.EPIPE
	}
	c.changed.Broadcast()
}

// finishLocked sends FIN.
func (c *tcpConn) finishLocked() {
	if c.finSent || c.done {
		return
	}
	c.finSent, c.peer.finReceived = true, true
	c.done = c.finReceived
	c.peer.done = c.done
	c.changed.Broadcast()
}

// Close sends FIN, or RST if data was left unread or SetLinger(0) called.
func (c *tcpConn) Close() error {
	err := c.update("close", c.closeLocked)
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	delete(c.network.open, c)
	return err
}

func (c *tcpConn) closeLocked() error {
	c.closed = true
	c.readDeadline.set(time.Time{}, nil)
	c.writeDeadline.set(time.Time{}, nil)
	if len(c.received) > 0 || c.noLinger {
		c.peer.resetLocked()
		c.done = true
	}
	c.received = nil
	c.finishLocked()
	return nil
}

// CloseWrite sends FIN: the peer's reads end with io.EOF after the data. The other direction stays open.
func (c *tcpConn) CloseWrite() error {
	return c.update("close", func() error {
		if c.done {
			return syscall.ENOTCONN
		}
		c.finishLocked()
		return nil
	})
}

// CloseRead ends reads that find nothing with io.EOF. The peer does not notice.
func (c *tcpConn) CloseRead() error {
	return c.update("close", func() error {
		if c.done {
			return syscall.ENOTCONN
		}
		c.readShut = true
		return nil
	})
}

// SetLinger with 0 makes Close reset the connection. Other values change nothing: in memory nothing waits to
// be sent.
func (c *tcpConn) SetLinger(seconds int) error {
	return c.update("set", func() error {
		c.noLinger = seconds == 0
		return nil
	})
}

func (c *tcpConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *tcpConn) SetReadDeadline(t time.Time) error {
	return c.update("set", func() error {
		c.readDeadline.set(t, c.wire)
		return nil
	})
}

func (c *tcpConn) SetWriteDeadline(t time.Time) error {
	return c.update("set", func() error {
		c.writeDeadline.set(t, c.wire)
		return nil
	})
}

// update applies a change by the owner of this end and wakes everybody who waits.
func (c *tcpConn) update(op string, change func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail(op, net.ErrClosed)
	}
	defer c.changed.Broadcast()
	if err := change(); err != nil {
		return c.fail(op, err)
	}
	return nil
}

func (c *tcpConn) takeErrorLocked() error {
	err := c.err
	c.err = nil
	return err
}

// fail gives an error the form of package net's.
func (c *tcpConn) fail(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
