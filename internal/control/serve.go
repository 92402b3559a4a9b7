package control

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // of a request with its body
	writeTimeout  = time.Minute      // of an answer; a handler that streams sets its own
	idleTimeout   = 30 * time.Second
	maxHeader     = 8 << 10
	// maxConnections is how many connections a listener has. One more ends the one that has waited longest for a
	// request or the rest of one, so that idle ones keep nobody out.
	maxConnections = 128
)

// Serve answers until ctx ends, then closes the listener and waits for pending answers. It speaks HTTP/1.1 alone.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	open := &connections{waiting: make(map[net.Conn]time.Time), busy: make(map[net.Conn]bool)}
	server := &http.Server{
		Handler: open.during(handler), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true, ConnState: open.changed, Protocols: new(http.Protocols),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ErrorLog: log.New(io.Discard, "", 0), // anybody could fill it
	}
	server.Protocols.SetHTTP1(true)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), headerTimeout)
		defer cancel()
		server.Shutdown(limit)
	})
	err := server.Serve(l)
	if stop() {
		return err // the listener failed
	}
	<-ended
	return nil
}

// connections are those of a listener.
type connections struct {
	mu      sync.Mutex
	waiting map[net.Conn]time.Time // since when for the headers of a request, or the rest of one that is answered
	busy    map[net.Conn]bool      // with a request that is being answered
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// during returns next for requests whose connections are busy meanwhile: no longer, since http.Server then waits for the
// rest of the request, which a stranger may never send.
func (c *connections) during(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		c.mu.Lock()
		delete(c.waiting, conn)
		c.busy[conn] = true
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.busy[conn] { // else it is closed or hijacked
				delete(c.busy, conn)
				c.waiting[conn] = time.Now()
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// changed is called by http.Server.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		closeNow(c.add(conn))
	case http.StateIdle:
		c.mu.Lock()
		delete(c.busy, conn)
		c.waiting[conn] = time.Now()
		c.mu.Unlock()
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		delete(c.busy, conn)
		delete(c.waiting, conn)
		c.mu.Unlock()
	}
}

// add adds a connection and returns the one that has to make room for it, which may be itself; nil: none.
func (c *connections) add(conn net.Conn) (ends net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting)+len(c.busy) >= maxConnections {
		ends = conn
		since := time.Now()
		for other, began := range c.waiting {
			if !began.After(since) {
				ends, since = other, began
			}
		}
		delete(c.waiting, ends)
	}
	if ends != conn {
		c.waiting[conn] = time.Now()
	}
	return ends
}

// closeNow closes a connection, if any, without waiting to say goodbye.
func closeNow(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if conn != nil {
		conn.Close()
	}
}
