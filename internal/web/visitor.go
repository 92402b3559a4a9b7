package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"apquic/internal/login"
)

// idleVisitorTime is how long a visitor's idle connections to the upstream are kept: opening one costs little.
const idleVisitorTime = 5 * time.Second

// Visitor is a client's connection that says itself where it leads, for a program that serves many sites with one
// Site. Its connections to the upstream are its own, so that the upstream can be told of the client for each of them.
type Visitor interface {
	net.Conn
	// Domain is the name of the site; requests for others are refused.
	Domain() string
	// Dial connects to the upstream.
	Dial(ctx context.Context) (net.Conn, error)
	// Begin counts a request until end; ok: there is room for it. Of its body, if it has one, 256 KiB may have to wait
	// here for the upstream, and as much of the answer for the client; 512 KiB each of all requests together.
	Begin(body bool) (end func(), ok bool)
	// Closed is closed when the connection is.
	Closed() <-chan struct{}
}

// ServeVisitor serves one client, a Visitor or a *tls.Conn around one, until its connection ends.
func (s *Site) ServeVisitor(c net.Conn) {
	v, ok := c.(Visitor)
	if secure, isTLS := c.(*tls.Conn); isTLS {
		v, ok = secure.NetConn().(Visitor)
	}
	if !ok {
		c.Close()
		return
	}
	u := newUpstream(v.Dial)
	u.http1.IdleConnTimeout, u.http2.IdleConnTimeout = idleVisitorTime, idleVisitorTime
	defer u.close()
	accept := make(chan net.Conn, 1)
	accept <- c
	s.server.Serve(&visit{Visitor: v, upstream: u, accept: accept, stopped: make(chan struct{})})
	select {
	case <-accept: // the server had stopped
		c.Close()
	default:
		<-v.Closed()
	}
}

// Shutdown ends the connections of visitors without a request at once, and those with one when it has ended. It
// returns when all have ended, or ctx does.
func (s *Site) Shutdown(ctx context.Context) error { return s.server.Shutdown(ctx) }

// visit is a visitor while it is connected: the listener that accepts its connection alone.
type visit struct {
	Visitor
	upstream *upstream
	accept   chan net.Conn // has one
	stopping sync.Once
	stopped  chan struct{}
}

// Accept returns the connection, and then an error when that is closed, or the server stops.
func (v *visit) Accept() (net.Conn, error) {
	select {
	case c := <-v.accept:
		return c, nil
	case <-v.Closed():
	case <-v.stopped:
	}
	return nil, net.ErrClosed
}

// Close does not close the connection.
func (v *visit) Close() error {
	v.stopping.Do(func() { close(v.stopped) })
	return nil
}

// Addr implements net.Listener.
func (v *visit) Addr() net.Addr { return v.LocalAddr() }

type visitKey struct{}

// withVisit is the context of the requests of a listener.
func withVisit(l net.Listener) context.Context {
	if v, ok := l.(*visit); ok {
		return context.WithValue(context.Background(), visitKey{}, v)
	}
	return context.Background()
}

// visitOf returns whose request it is; nil: not one of a visitor.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// placeOf says where a request is passed on: those of visitors at a server.
func placeOf(r *http.Request) login.Place {
	if visitOf(r) != nil {
		return login.AtServer
	}
	return login.AtNode
}

// take counts a request until end; ok: there is room for it.
func (s *Site) take(r *http.Request) (end func(), ok bool) {
	if v := visitOf(r); v != nil {
		return v.Begin(r.ProtoMajor == 2 && r.Body != http.NoBody || isGRPC(r)) // HTTP/1 has both sides keep it
	}
	return func() { s.requests.give(r.RemoteAddr) }, s.requests.take(r.RemoteAddr)
}

// domainOf is the domain that a request must be for.
func (s *Site) domainOf(r *http.Request) string {
	if v := visitOf(r); v != nil {
		return v.Domain()
	}
	return *s.domain.Load()
}

// RoundTrip implements http.RoundTripper: requests of a visitor go over its own connections.
func (s *Site) RoundTrip(r *http.Request) (*http.Response, error) {
	if v := visitOf(r); v != nil {
		return v.upstream.RoundTrip(r)
	}
	return s.upstream.RoundTrip(r)
}
