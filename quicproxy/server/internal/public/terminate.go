package public

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/tlsconn"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/termination"
	"apquic/quicproxy/server/internal/vhost"
)

const (
	// handshakeTimeout bounds a TLS handshake, and goodbye the end of connections to the node when the client has left.
	handshakeTimeout, goodbye = 10 * time.Second, 2 * time.Second
	// terminationCost is how much memory a client whose TLS ends here costs, about, without its requests.
	terminationCost = 128 << 10
)

var (
	errOtherMode  = errors.New("the service ends TLS elsewhere now")
	errNoMoreRoom = errors.New("there is no memory for connections whose TLS ends here")
)

// visitor is a client whose TLS, and mostly HTTP, ends here, as the Terminator sees it: its connection, and where
// that leads.
type visitor struct {
	termination.HalfConn
	termination.Requests
	client   *Client
	listener *Listener
	mode     termination.Mode // that it came with
	cost     *memory.Holding
	first    []byte // what comes first of the connection; used by its reader
	closing  sync.Once
	closed   chan struct{}
	ended    chan struct{} // has room for one: a connection to the node has ended

	mu     sync.Mutex
	alone  bool                 // a connection to the node uses the client's own place
	over   bool                 // it makes no more of them
	relays map[*Client]struct{} // its connections to the node
}

// end ends the TLS of a client that came for a name, and serves it.
func (p *Listener) end(client *Client, mode termination.Mode) {
	account, leave := p.all.config.Memory.Open(netaddr.Endpoint(client.RemoteAddr()).Addr())
	defer leave()
	v := &visitor{HalfConn: termination.HalfConn{Conn: client.Conn}, client: client, listener: p, mode: mode, first: client.Read, closed: make(chan struct{}), relays: make(map[*Client]struct{}), ended: make(chan struct{}, 1)}
	v.cost = account.Open(v)
	v.Requests.Cost = v.cost
	defer v.cost.Close()
	if v.cost.Take(terminationCost, 0) == 0 {
		p.refuse(client, errNoMoreRoom)
		return
	}
	defer p.all.visits(v)()
	defer v.end()
	if !client.TLS {
		p.all.config.Terminator.Serve(v)
		return
	}
	secure, err := v.handshake(p.all.config.Terminator.TLS(mode == termination.EndsHTTP))
	switch {
	case err != nil:
		p.all.refused.Add(errHandshake)
		p.all.log.Debug("no TLS with a client", p.Attr(), "client", client.RemoteAddr(), "err", err)
		client.Close() // rather than reset it, so that it gets the alert
	case mode == termination.EndsHTTP:
		p.all.config.Terminator.Serve(secure)
	case secure.ConnectionState().NegotiatedProtocol != "":
		secure.Close() // an authority, which has seen what it wanted
	default:
		inner := &Client{Conn: tlsconn.New(secure), Ended: true, Place: client.Place, address: client.RemoteAddr(), public: client.LocalAddr()}
		client.goesOnAs(inner)
		p.serve(inner)
	}
}

// handshake ends the TLS of a client that finishes its handshake in time.
func (v *visitor) handshake(config *tls.Config) (*tls.Conn, error) {
	v.SetDeadline(time.Now().Add(handshakeTimeout))
	defer v.listener.all.onStop(func() { v.SetDeadline(time.Unix(1, 0)) })()
	c := tls.Server(v, config)
	if err := c.Handshake(); err != nil {
		return nil, fmt.Errorf("the handshake failed: %w", err)
	}
	v.SetDeadline(time.Time{})
	return c, nil
}

// Domain is the name that the client came for. Other names of the same wildcard may be those of other nodes.
func (v *visitor) Domain() string { return v.client.Name }

// RemoteAddr is the client's address.
func (v *visitor) RemoteAddr() net.Addr { return v.client.RemoteAddr() }

// LocalAddr is the public address that the client connected to.
func (v *visitor) LocalAddr() net.Addr { return v.client.LocalAddr() }

// Read implements net.Conn.
func (v *visitor) Read(p []byte) (n int, err error) {
	if n = copy(p, v.first); n > 0 {
		v.first = v.first[n:]
		return n, nil
	}
	n, err = v.Conn.Read(p)
	v.client.Place.Active()
	return n, err
}

// Write implements net.Conn.
func (v *visitor) Write(p []byte) (n int, err error) {
	n, err = v.Conn.Write(p)
	v.client.Place.Active()
	return n, err
}

// Close implements net.Conn.
func (v *visitor) Close() (err error) {
	v.closing.Do(func() {
		err = v.Conn.Close()
		close(v.closed)
	})
	return err
}

// Closed is closed when the connection is.
func (v *visitor) Closed() <-chan struct{} { return v.closed }

// Dial connects to the service for this client alone. Like a connection of the client itself it has a place, and
// waits for the node; the first one has that of the client. The limit per address that the service's rules have is for
// connections of clients, and was applied to the client's own.
func (v *visitor) Dial(context.Context) (net.Conn, error) {
	near, far := termination.Pipe(v.client.LocalAddr(), v.client.RemoteAddr())
	inner := &Client{Conn: far, Ended: v.client.TLS, address: v.client.RemoteAddr(), public: v.client.LocalAddr()}
	p := v.listener
	v.mu.Lock()
	defer v.mu.Unlock()
	own := !v.alone
	switch {
	case v.over: // net/http may dial for a request that has ended
		return nil, net.ErrClosed
	case p.Mode() != v.mode:
		near.Close()
		return nil, errOtherMode
	case !own && !p.all.place(inner, p.service, p.Attr(), p.refuse):
		near.Close()
		return nil, errors.New("there is no place for another connection of the client to the service")
	}
	v.alone = true
	v.relays[inner] = struct{}{}
	p.all.serving.Go(func() {
		defer inner.Place.Leave()
		p.serve(inner)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.alone = v.alone && !own
		delete(v.relays, inner)
		wait.Signal(v.ended)
	})
	return near, nil
}

// EndForMemory implements the holder interface of package carrier.
func (v *visitor) EndForMemory(_ *memory.Holding, log *slog.Logger) {
	log.Warn("a client was reset because the memory budget is used up", "client", v.client.RemoteAddr())
	relay.ResetTCP(v.client.Conn)
}

// end has Dial make no more connections, and resets those that do not end by themselves: nobody waits for what comes
// over them, and they would no longer have a place. Whoever waits for clients waits for v alone, until now.
func (v *visitor) end() {
	timer := time.NewTimer(goodbye)
	defer timer.Stop()
	for late := false; ; {
		v.mu.Lock()
		v.over = true
		left := slices.Collect(maps.Keys(v.relays))
		v.mu.Unlock()
		if len(left) == 0 || late {
			for _, inner := range left {
				inner.evict()
			}
			return
		}
		select {
		case <-v.ended:
		case <-timer.C:
			late = true
		}
	}
}

// visits notes a visitor until left, so that Close can end what the server cannot wait for.
func (s *Listeners) visits(v *visitor) (left func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		relay.ResetTCP(v.client.Conn)
	}
	s.visitors[v] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.visitors, v)
	}
}

// resetVisitors ends those that are left. It needs mu.
func (s *Listeners) resetVisitorsLocked() {
	s.closed = true
	for v := range s.visitors {
		relay.ResetTCP(v.client.Conn)
	}
}

// answersChallenge answers a client that may be an authority which checks a name for which TLS ends here.
func (s *Listeners) answersChallenge(client *Client, name string, request *http.Request) bool {
	if s.config.Terminator == nil {
		return false
	}
	answer, ok := s.config.Terminator.Challenge(name, request.URL.Path)
	if ok {
		vhost.Finish(client.Conn, vhost.Page(request, http.StatusOK, string(answer)))
	}
	return ok
}
