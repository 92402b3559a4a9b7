package server

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/private"
	"apquic/quicproxy/server/internal/public"
	"apquic/quicproxy/server/internal/stage"
)

const (
	// farewell is how long a node has to read the reason before its connection is closed.
	farewell = time.Second
	// takeover is how long the successor of a connection has to ask for its services before they count as
	// abandoned: a lease that is detached and attached again is written twice.
	takeover = 30 * time.Second
)

// enter lets c into the session of its node, and makes it primary.
func (s *Server) enter(c *nodeConn, standby bool) error {
	if c.Lane {
		return s.registry.joinLane(c, s.dropLater)
	}
	if c.connects && !c.account.Connecting.Take(maxConnecting) {
		return private.Busy(farewell)
	}
	older, err := s.registry.join(c, standby)
	if err != nil {
		c.stopsConnecting()
		return err
	}
	for _, old := range c.replace(older) {
		s.work.Go(func() { old.retire(c) })
	}
	if len(older) >= maxConnections {
		for _, old := range older[:len(older)-maxConnections+1] {
			s.dropLater(old, "this node has too many connections")
		}
	}
	return nil
}

// replace makes the clients of older connections wait for c, and returns the connections that were not
// replaced before.
func (c *nodeConn) replace(older []*nodeConn) (followed []*nodeConn) {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	for _, old := range older {
		if old.successor != nil {
			continue
		}
		old.successor = c
		old.stage.Become(stage.Replaced)
		for _, p := range old.services {
			p.Suspend(old)
		}
		followed = append(followed, old)
	}
	return followed
}

// retire tells c about its successor, and closes c when its last relay has ended. The code repeats whether
// the successor is another process, since a closing connection drops what it carries.
func (c *nodeConn) retire(successor *nodeConn) {
	other := c.instance != successor.instance
	c.Control.Post(framing.OpReplaced, &framing.Replaced{Instance: successor.instance, Address: successor.QUIC.RemoteAddr().String()})
	code, text := framing.ErrorSuperseded, "a newer connection of this node is in use"
	if other {
		code, text = framing.ErrorReplaced, "another process with the key of this node took over"
	}
	if other && !c.isFollowedInLife(successor) {
		c.server.closeProcess(c, code, text)
		return
	}
	c.Relays.CloseWhenIdle(c.QUIC.Context())
	wait.Sleep(c.QUIC.Context(), farewell)
	for begin := time.Now(); !other && c.hasLeases() && time.Since(begin) < takeover && c.QUIC.Context().Err() == nil; {
		wait.Sleep(c.QUIC.Context(), farewell)
	}
	c.QUIC.CloseWithError(quic.ApplicationErrorCode(code), text)
}

// hasLeases reports whether c has leases that no newer connection has requested.
func (c *nodeConn) hasLeases() bool {
	c.session.leases.Lock()
	defer c.session.leases.Unlock()
	for _, p := range c.services {
		if p.IsOwner(c) {
			return true
		}
	}
	return false
}

// isFollowedInLife logs why another process took over, and reports whether that of c is alive.
func (c *nodeConn) isFollowedInLife(successor *nodeConn) bool {
	switch {
	case c.stage.Last() == stage.Retiring: // it said that it stops
		successor.log.Info("took over from a process that is stopping", "older", c.QUIC.RemoteAddr().String())
	case c.Answers(silentAfter):
		successor.log.Warn("two processes use the key of this node; the newer one takes over", "older", c.QUIC.RemoteAddr().String())
	case conn.IsShutdown(context.Cause(c.QUIC.Context())):
		successor.log.Info("took over from a process that has stopped", "older", c.QUIC.RemoteAddr().String())
	default:
		successor.log.Info("took over from a session that did not say goodbye", "older", c.QUIC.RemoteAddr().String())
		return false
	}
	return true
}

// closeProcess closes c and the lanes of its process, which is dead.
func (s *Server) closeProcess(c *nodeConn, code framing.ErrorCode, text string) {
	for _, connection := range append(s.registry.lanesOf(c), c) {
		connection.QUIC.CloseWithError(quic.ApplicationErrorCode(code), text)
	}
}

// leave ends what c had. Its leases stay, held for the node, unless a newer connection has them.
func (s *Server) leave(c *nodeConn) {
	c.session.leases.Lock()
	for name, p := range c.services {
		s.quit(c, p)
		delete(c.services, name)
	}
	c.session.leases.Unlock()

	s.registry.remove(c)
	c.stopsConnecting()
}

// stopsConnecting gives back what enter took.
func (c *nodeConn) stopsConnecting() {
	if c.connects {
		c.account.Connecting.Give()
	}
}

// detach starts the hold time of the lease of p. A stopping server leaves that to its next start, which finds
// the lease attached.
func (s *Server) detach(c *nodeConn, p *public.Listener) {
	if s.registry.isClosed() {
		return
	}
	if p.IsPrivate() {
		s.public.UnbindPrivate(p.Key)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := s.lessor.Detach(ctx, p.Key); err != nil {
		c.log.Warn("the end of a session could not be stored", "service", p.Key.Service, "err", err)
	}
}
