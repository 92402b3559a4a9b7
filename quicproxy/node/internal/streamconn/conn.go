package streamconn

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

// Conn is a relay as a net.Conn, for callers of Node.Listen.
type Conn struct {
	relay.Stream // for its deadlines
	local        Address
	remote       Address

	writing sync.Mutex // a stream may not be closed while it is written to
	closing sync.Once
	closed  chan struct{} // by Close, or abort
	reset   chan struct{} // closed when the stream was reset, or lost
}

func New(s relay.Stream, local, remote Address) *Conn {
	c := &Conn{Stream: s, local: local, remote: remote, closed: make(chan struct{}), reset: make(chan struct{})}
	s.Watch(func(reset bool) {
		if reset {
			close(c.reset)
		}
	})
	return c
}

// wait returns when the connection needs its stream no more: it was closed, or what came before a reset could be read,
// or over is closed.
func (c *Conn) AwaitEnd(over <-chan struct{}) {
	select {
	case <-c.closed:
	case <-over:
	case <-c.reset:
		timer := time.NewTimer(relay.ResetLinger)
		defer timer.Stop()
		select {
		case <-c.closed:
		case <-over:
		case <-timer.C:
		}
	}
}

func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	return n, c.tcpError("read", err)
}

func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Stream.Write(b)
	return n, c.tcpError("write", err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite sends FIN; reading goes on.
func (c *Conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.CloseWrite()
}

// Close ends both directions. What was written before still arrives, unless the client goes on sending: then
// its connection is reset, as TCP does when somebody closes with data unread.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		c.CancelRead()
		c.SetWriteDeadline(time.Unix(1, 0)) // frees a Write that waits
		err = c.CloseWrite()
		close(c.closed)
	})
	return err
}

// Abort resets a connection that nobody has.
func (c *Conn) Abort(code framing.ErrorCode) {
	c.Discard(code)
	c.closing.Do(func() { close(c.closed) })
}

// tcpError says connection reset where TCP would.
func (c *Conn) tcpError(op string, err error) error {
	_, reset := errors.AsType[*relay.ResetError](err)
	if reset || errors.Is(err, relay.ErrStopped) || errors.Is(err, relay.ErrLost) {
		return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: syscall.ECONNRESET}
	}
	return err
}

// EndForMemory implements holder.
func (c *Conn) EndForMemory(_ *limit.Holding, log *slog.Logger) {
	log.Warn("a connection was reset because the other side does not ack what it was sent and the memory budget is used up", "client", c.remote)
	c.Discard(framing.ErrorRelayStalled)
}

// Address is host:port on the server's side; the host may be a name.
type Address string

func (Address) Network() string  { return "tcp" }
func (a Address) String() string { return string(a) }
