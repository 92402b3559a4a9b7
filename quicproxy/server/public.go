package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"apquic/internal/machine"
	"apquic/lease"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

const (
	// A failing accept, mostly for want of descriptors, is tried again after pauses that double.
	minAcceptPause, maxAcceptPause = 5 * time.Millisecond, time.Second
)

var (
	errNodeAway      = errors.New("the node did not come back in time")
	errTooManyRelays = errors.New("the node has as many relays as it may have")
	errPortClosed    = errors.New("the port was closed")
)

// publicListener is the socket of a lease. It belongs to the lease, not to a connection: while the node is
// away its clients wait.
type publicListener struct {
	server   *Server
	key      lease.Key
	port     uint16
	service  limit.Service // whose clients it has
	listener net.Listener

	mu      sync.Mutex
	owner   *nodeConn // the connection that asked for the lease last
	serving bool      // owner takes new relays
	movable bool      // and its relays may move
	closed  bool      // the lease ended
	parking parking   // of clients, to be woken when one of the above changes
	clients int       // public connections now
	relays  map[*relay.Relay]struct{}
	ended   Traffic // of the relays that have ended
}

// Bind opens the public listener of a lease; it implements lease.Binder.
func (s *Server) Bind(l lease.Lease) error {
	if !s.clients.Lend(1) {
		return s.noDescriptor()
	}
	listener, err := s.config.ListenPublic(l.Port)
	if err != nil {
		s.clients.Lend(-1)
		if isShortage(err) {
			return s.noDescriptor()
		}
		return err
	}
	p := &publicListener{server: s, key: l.Key, port: l.Port, listener: listener}
	p.service = limit.Service{Node: l.Node.String(), Name: l.Service}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		listener.Close()
		s.clients.Lend(-1)
		return errPortClosed
	}
	s.public[l.Port] = p
	if s.publicOf[l.Node] == nil {
		s.publicOf[l.Node] = make(map[uint16]*publicListener)
	}
	s.publicOf[l.Node][l.Port] = p
	s.listeners.Go(p.accept)
	return nil
}

// Unbind closes the public listener of a lease; it implements lease.Binder. Running relays go on.
func (s *Server) Unbind(l lease.Lease) {
	s.mu.Lock()
	p := s.public[l.Port]
	delete(s.public, l.Port)
	if delete(s.publicOf[l.Node], l.Port); len(s.publicOf[l.Node]) == 0 {
		delete(s.publicOf, l.Node)
	}
	s.mu.Unlock()
	if p != nil {
		p.close()
		s.clients.Lend(-1)
		s.config.LeaseEnded(l.Port)
	}
}

func (s *Server) publicListener(port uint16) *publicListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.public[port]
}

// accept runs until the listener is closed.
func (p *publicListener) accept() {
	pause := minAcceptPause
	for {
		client, err := p.listener.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			p.admit(client)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			p.acceptFailed(err, pause)
			select {
			case <-time.After(pause):
			case <-p.server.stopped:
				return
			}
			pause = min(2*pause, maxAcceptPause)
		}
	}
}

// admit serves a client, or resets it if there are too many.
func (p *publicListener) admit(client net.Conn) {
	c := &publicClient{Conn: client}
	place, err := p.server.clients.Admit(p.service, addressOf(client.RemoteAddr()), func() {
		p.server.log.Warn("a public connection was reset to make room for another one", "port", p.port, "client", client.RemoteAddr())
		c.evict()
	})
	if errors.Is(err, limit.ErrAllFull) {
		err = &descriptorError{err.Error(), machine.Descriptors()}
	}
	if err != nil {
		p.refuse(client, err)
		return
	}
	c.place = place
	p.server.work.Go(func() {
		defer place.Leave()
		p.clientCame(1)
		defer p.clientCame(-1)
		p.serve(c)
	})
}

func (p *publicListener) refuse(client net.Conn, err error) {
	relay.ResetTCP(client)
	p.server.count(func(n *Counters) { n.Refused++ })
	level := slog.LevelDebug
	if isLimit(err) {
		level = slog.LevelWarn
	}
	p.server.log.Log(context.Background(), level, "public connection refused", "port", p.port, "client", client.RemoteAddr(), "err", err)
}

// serve relays one public connection, or resets it.
func (p *publicListener) serve(client *publicClient) {
	patience := time.Now().Add(max(p.server.config.Park, 0))
	var tried *nodeConn
	for {
		c, err := p.route(client, patience, tried)
		if err == nil {
			err = c.relay(p, client)
		}
		if errors.Is(err, errConnectionEnded) {
			if tried = c; client.read != nil {
				patience = time.Now().Add(max(p.server.config.Park, 0)) // it had a relay until now
			}
			continue // the next connection of the node may be here any moment
		}
		switch {
		case errors.Is(err, errClientLeft):
			client.Close()
		case err != nil:
			p.refuse(client.Conn, err)
		}
		return
	}
}

// route waits until a connection takes relays that is not the one tried already, no longer than patience lasts, nor than
// the client.
func (p *publicListener) route(client *publicClient, patience time.Time, tried *nodeConn) (*nodeConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, err := p.targetLocked(tried); c != nil || err != nil {
		return c, err
	}
	w, err := p.parking.enterLocked(client, patience)
	if err != nil {
		return nil, err
	}
	defer p.parking.leaveLocked(w)
	for {
		w.arm() // whatever changes from here on wakes it
		if c, err := p.targetLocked(tried); c != nil || err != nil {
			return c, err
		}
		p.mu.Unlock()
		err := w.wait()
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

// targetLocked is where a relay can go now; nil while there is nowhere.
func (p *publicListener) targetLocked(tried *nodeConn) (*nodeConn, error) {
	if p.closed {
		return nil, errPortClosed
	}
	if p.serving && p.owner != tried && !p.owner.silent.Load() {
		return p.owner, nil
	}
	return nil, nil
}

// attach makes c the connection that new relays go to.
func (p *publicListener) attach(c *nodeConn, movable bool) {
	p.change(func() { p.owner, p.serving, p.movable = c, true, movable })
}

// associationOf is where a relay over c may move to; nil: it may not.
func (p *publicListener) associationOf(c *nodeConn) *relay.Association {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.movable {
		return nil
	}
	return c.association
}

// ownerChanged has those who wait look at c again.
func (p *publicListener) ownerChanged(c *nodeConn) {
	if p.isOwner(c) {
		p.change(func() {})
	}
}

func (p *publicListener) isOwner(c *nodeConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner == c
}

// suspend lets new clients wait, if c is still the owner: it is about to be followed by another one.
func (p *publicListener) suspend(c *nodeConn) {
	p.change(func() { p.serving = p.serving && p.owner != c })
}

// leave ends the ownership of c. It reports false if another connection has it already.
func (p *publicListener) leave(c *nodeConn) (left bool) {
	p.change(func() {
		if left = p.owner == c; left {
			p.owner, p.serving = nil, false
		}
	})
	return left
}

// stopAccepting leaves who comes to the queue of the listener, which stays open, and resets the clients that wait: who
// tries again at once waits in that queue, too.
func (p *publicListener) stopAccepting() {
	p.change(func() { p.closed = true })
	if l, ok := p.listener.(interface{ SetDeadline(time.Time) error }); ok && l.SetDeadline(time.Unix(1, 0)) == nil {
		return
	}
	p.listener.Close()
}

// close ends the listener and resets the clients that wait.
func (p *publicListener) close() {
	p.change(func() { p.closed = true })
	p.listener.Close()
}

func (p *publicListener) change(set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	p.parking.wakeLocked()
}
