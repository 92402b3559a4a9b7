package node

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

// streamConn is a relay as a net.Conn, for callers of Node.Listen.
type streamConn struct {
	relay.Stream // for its deadlines
	local        publicAddress
	remote       publicAddress

	writing sync.Mutex // a stream may not be closed while it is written to
	closing sync.Once
	closed  chan struct{} // by Close, or abort
	reset   chan struct{} // closed when the stream was reset, or lost
}

func newStreamConn(s relay.Stream, local, remote publicAddress) *streamConn {
	c := &streamConn{Stream: s, local: local, remote: remote, closed: make(chan struct{}), reset: make(chan struct{})}
	s.Watch(func(reset bool) {
		if reset {
			close(c.reset)
		}
	})
	return c
}

// wait returns when the connection needs its stream no more: it was closed, or what came before a reset could be read,
// or over is closed.
func (c *streamConn) wait(over <-chan struct{}) {
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

func (c *streamConn) LocalAddr() net.Addr  { return c.local }
func (c *streamConn) RemoteAddr() net.Addr { return c.remote }

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	return n, c.tcpError("read", err)
}

func (c *streamConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Stream.Write(b)
	return n, c.tcpError("write", err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *streamConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite sends FIN; reading goes on.
func (c *streamConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.CloseWrite()
}

// Close ends both directions. What was written before still arrives, unless the client goes on sending: then
// its connection is reset, as TCP does when somebody closes with data unread.
func (c *streamConn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		c.CancelRead()
		c.SetWriteDeadline(time.Unix(1, 0)) // frees a Write that waits
		err = c.CloseWrite()
		close(c.closed)
	})
	return err
}

// abort resets a connection that nobody has.
func (c *streamConn) abort(code framing.ErrorCode) {
	c.Discard(code)
	c.closing.Do(func() { close(c.closed) })
}

// tcpError says connection reset where TCP would.
func (c *streamConn) tcpError(op string, err error) error {
	_, reset := errors.AsType[*relay.ResetError](err)
	if reset || errors.Is(err, relay.ErrStopped) || errors.Is(err, relay.ErrLost) {
		return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: syscall.ECONNRESET}
	}
	return err
}

// EndForMemory implements holder.
func (c *streamConn) EndForMemory(_ *limit.Holding, log *slog.Logger) {
	log.Warn("a connection was reset because the other side does not ack what it was sent and the memory budget is used up", "client", c.remote)
	c.Discard(framing.ErrorRelayStalled)
}
