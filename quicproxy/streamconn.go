package quicproxy

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// streamConn is a relay as a net.Conn, for callers of Node.Listen.
type streamConn struct {
	*quic.Stream // for its deadlines
	relays       *relaySet
	local        publicAddress
	remote       publicAddress

	writing sync.Mutex // a stream may not be closed while it is written to
	closing sync.Once
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

// CloseWrite sends FIN; reading goes on.
func (c *streamConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.Close()
}

// Close ends both directions. What was written before still arrives, unless the client goes on sending: then
// its connection is reset, as TCP does when somebody closes with data unread.
func (c *streamConn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		c.Stream.CancelRead(quic.StreamErrorCode(framing.NoError))
		c.Stream.SetWriteDeadline(time.Unix(1, 0)) // frees a Write that waits
		err = c.CloseWrite()
		c.relays.remove(c)
	})
	return err
}

func (c *streamConn) abort(code framing.ErrorCode) { resetStream(c.Stream, code) }
func (c *streamConn) lose()                        { c.abort(framing.ErrorRelayReset) }

// tcpError says connection reset where TCP would.
func (c *streamConn) tcpError(op string, err error) error {
	if _, ok := resetCode(err); ok {
		return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: syscall.ECONNRESET}
	}
	return err
}
