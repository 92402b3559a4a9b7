package private

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// Cost is how much memory a connection costs, about: TLS, two buffers, two goroutines.
const Cost = 96 << 10

// Stream is what a server has joined: a connection whose directions end one by one, and which can be reset.
type Stream interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error // with 0, Close resets
}

// Conn is a connection between two nodes: TLS over a Stream. Each direction ends with an authenticated close, so nobody
// in between can cut it short unnoticed.
type Conn struct {
	*tls.Conn
	under  *watched
	abrupt atomic.Bool // Close resets
}

// watched notes that a stream has ended.
type watched struct {
	Stream
	ended atomic.Bool
}

// Read implements net.Conn.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Stream.Read(b)
	if err == io.EOF {
		w.ended.Store(true)
	}
	return n, err
}

// Read returns io.EOF only after the other node has said that its direction ends. crypto/tls also takes the end of the
// stream for that, which whoever is in between can cause.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF && c.under.ended.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// CloseWrite ends this side's direction.
func (c *Conn) CloseWrite() error { return errors.Join(c.Conn.CloseWrite(), c.under.CloseWrite()) }

// SetLinger with 0 has Close reset the connection.
func (c *Conn) SetLinger(seconds int) error {
	c.abrupt.Store(seconds == 0)
	return c.under.SetLinger(seconds)
}

// Close ends both directions.
func (c *Conn) Close() error {
	if c.abrupt.Load() {
		return c.under.Close()
	}
	return c.Conn.Close()
}
