// Package tlsconn is a TLS connection that can be reset, as a relay does with a TCP connection.
//
// It must not know which end it is of, or who the other one is.
package tlsconn

import (
	"crypto/tls"
	"sync/atomic"
)

// Conn is a TLS connection. With SetLinger(0) Close sends no close_notify, which would say that all had been sent, and
// resets what is below.
type Conn struct {
	*tls.Conn
	resets atomic.Bool
}

// New returns c as a Conn.
func New(c *tls.Conn) *Conn { return &Conn{Conn: c} }

// SetLinger is that of net.TCPConn.
func (c *Conn) SetLinger(seconds int) error {
	c.resets.Store(seconds == 0)
	if l, ok := c.NetConn().(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return nil
}

// Close ends both directions.
func (c *Conn) Close() error {
	if c.resets.Load() {
		return c.NetConn().Close()
	}
	return c.Conn.Close()
}
