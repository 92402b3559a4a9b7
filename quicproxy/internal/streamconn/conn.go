package streamconn

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/memory"
)

// Conn is a relay as a net.Conn, for callers of Node.Listen, for what the node serves itself, and for a server that joins
// two nodes.
type Conn struct {
	bytestream.Stream // for its deadlines
	local             Address
	remote            Address
	tls, tlsEnded     bool
	nodeName          string
	active            func()      // called when bytes move
	abrupt            atomic.Bool // Close resets

	writing sync.Mutex // a stream must not be closed during a write
	closing sync.Once
	closed  chan struct{} // by Close, or Abort
	reset   chan struct{} // closed when the stream was reset, or lost
}

// New returns the connection over s, with the addresses in its header. active is called whenever bytes move.
func New(s bytestream.Stream, header *framing.StreamHeader, active func()) *Conn {
	c := &Conn{
		Stream: s, local: Address(header.PublicAddress), remote: Address(header.ClientAddress), active: active, tls: header.Tls, tlsEnded: header.TlsEnded,
		nodeName: header.NodeName, closed: make(chan struct{}), reset: make(chan struct{}),
	}
	s.Watch(func(reset bool) {
		if reset {
			close(c.reset)
		}
	})
	return c
}

// CountAt has the account pay for what is kept of the connection, until done. It is to be called before anything
// is written.
func (c *Conn) CountAt(account *memory.Account) (done func()) {
	keeps := account.Open(c)
	c.Count(keeps.Keep, keeps.Add)
	return keeps.Close
}

// AwaitEnd returns when the connection no longer needs its stream: it was closed, what came before a reset
// could be read, or over is closed.
func (c *Conn) AwaitEnd(over <-chan struct{}) {
	select {
	case <-c.closed:
	case <-over:
	case <-c.reset:
		timer := time.NewTimer(bytestream.ResetLinger)
		defer timer.Stop()
		select {
		case <-c.closed:
		case <-over:
		case <-timer.C:
		}
	}
}

// LocalAddr is the public address of the service.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// TLS reports whether the client came for a domain and speaks TLS.
func (c *Conn) TLS() bool { return c.tls }

// TLSEnded reports whether the client came for a name and spoke TLS, which the server ended.
func (c *Conn) TLSEnded() bool { return c.tlsEnded }

// NodeName is what the server calls the node that connects to a private service; may be empty.
func (c *Conn) NodeName() string { return c.nodeName }

// RemoteAddr is the address of the client.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	c.active()
	return n, c.tcpError("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Stream.Write(b)
	c.active()
	return n, c.tcpError("write", err)
}

// SetDeadline sets both the read and the write deadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite sends FIN; reading goes on.
func (c *Conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.CloseWrite()
}

// Close ends both directions. What was written before still arrives, unless the client keeps sending: then
// its connection is reset, as TCP does after a close with unread data.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		if c.abrupt.Load() {
			c.SetWriteDeadline(time.Unix(1, 0)) // ends a Write that blocks
			c.writing.Lock()
			c.Reset(framing.ErrorRelayReset)
			c.writing.Unlock()
			err = nil
			close(c.closed)
			return
		}
		c.CancelRead()
		c.SetWriteDeadline(time.Unix(1, 0)) // ends a Write that blocks
		err = c.CloseWrite()
		close(c.closed)
	})
	return err
}

// SetLinger with 0 has Close reset the connection, as that of TCP does; what was written before still arrives.
func (c *Conn) SetLinger(seconds int) error {
	c.abrupt.Store(seconds == 0)
	return nil
}

// Abort resets a connection that nobody accepted.
func (c *Conn) Abort(code framing.ErrorCode) {
	c.Discard(code)
	c.closing.Do(func() { close(c.closed) })
}

// tcpError returns a connection reset where TCP would.
func (c *Conn) tcpError(op string, err error) error {
	_, reset := errors.AsType[*bytestream.ResetError](err)
	if reset || errors.Is(err, bytestream.ErrStopped) || errors.Is(err, bytestream.ErrLost) {
		return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: syscall.ECONNRESET}
	}
	return err
}

// EndForMemory resets the connection; it implements the holder interface of package carrier.
func (c *Conn) EndForMemory(_ *memory.Holding, log *slog.Logger) {
	log.Warn("a connection was reset because the other side does not ack what it was sent and the memory budget is used up", "client", c.remote)
	c.Discard(framing.ErrorRelayStalled)
}

// Address is host:port on the server's side; the host may be a name.
type Address string

// Network implements net.Addr.
func (Address) Network() string { return "tcp" }

// String implements net.Addr.
func (a Address) String() string { return string(a) }
