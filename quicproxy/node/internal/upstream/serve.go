package upstream

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// requestTimeout bounds the wait for a request, once it has begun, and idleTimeout that for the next one.
	requestTimeout = 10 * time.Second
	idleTimeout    = time.Minute
	// maxRequestHeader bounds the header of a request.
	maxRequestHeader = 16 << 10
)

// newServer answers HTTP/1.1 on connections that have no socket.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: requestTimeout, ReadTimeout: idleTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxRequestHeader,
		ErrorLog: log.New(io.Discard, "", 0), // visitors could fill it
	}
}

// serveOne serves HTTP on a single connection, until that is closed.
func serveOne(server *http.Server, c net.Conn) {
	l := &oneConn{Conn: c, closed: make(chan struct{})}
	server.Serve(l)
}

// oneConn is a connection, and a listener that accepts it alone.
type oneConn struct {
	net.Conn
	accepted sync.Once
	closing  sync.Once
	closed   chan struct{}
}

// Accept returns the connection, and at the next call, once that is closed, an error.
func (l *oneConn) Accept() (c net.Conn, err error) {
	l.accepted.Do(func() { c = l })
	if c == nil {
		<-l.closed
		err = net.ErrClosed
	}
	return c, err
}

// Close closes the connection, and ends Accept.
func (l *oneConn) Close() (err error) {
	l.closing.Do(func() {
		err = l.Conn.Close()
		close(l.closed)
	})
	return err
}

// CloseWrite lets the server end its direction first, so that its last answer is not lost.
func (l *oneConn) CloseWrite() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.LocalAddr() }
