package main

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"apquic/internal/web"
	"apquic/quicproxy/node"
)

// serve serves the sites of a node until ctx ends, and requests that run then until now does. wait returns when
// all have ended; it ends what is left.
func (s *sites) serve(ctx, now context.Context, n *node.Node) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	patience, giveUp := context.WithCancel(now)
	s.node, s.ctx, s.patience = n, ctx, patience
	s.follow(s.all)
	return func() {
		cancel()
		giveUp()
		s.serving.Wait()
	}
}

// follow makes all the sites. Those that no longer are let the requests that run end.
func (s *sites) follow(all map[string]*site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.all
	s.all = all
	for name, one := range before {
		if all[name] != one {
			s.endLocked(name, one)
		}
	}
	for name, one := range all {
		if one.stop == nil {
			s.beginLocked(name, one)
		}
		if listener := s.node.Listener(name); listener != nil && s.accepted[name] != listener {
			s.accepted[name] = listener
			s.serving.Go(func() { s.accept(name, listener) })
		}
	}
}

func (s *sites) beginLocked(name string, one *site) {
	ctx, stop := context.WithCancel(s.ctx)
	one.stop = stop
	s.serving.Go(func() {
		if err := one.Serve(ctx, s.patience, one.door); err != nil {
			s.log.Error("a site stopped", "service", name, "err", err)
		}
	})
	if one.guard != nil {
		s.serving.Go(func() { one.guard.Run(ctx) })
	}
	if one.byACME && !s.tended {
		s.tended = true
		s.serving.Go(func() { s.acme.Run(s.ctx) })
	}
	s.nameLocked(name)
}

// endLocked ends a site that is no longer one of all.
func (s *sites) endLocked(name string, one *site) {
	one.Leave()
	s.serving.Go(func() {
		select {
		case <-time.After(web.LeaveTime):
		case <-s.ctx.Done():
		}
		one.stop()
	})
	if one.guard != nil {
		s.before[name] = added(s.before[name], one.guard.Refused())
	}
	domain := one.service.Domain
	if one.byACME && domain != "" && !slices.ContainsFunc(s.sitesLocked(), func(other *site) bool { return other.byACME && other.service.Domain == domain }) {
		s.acme.Forget(domain, "")
	}
}

func (s *sites) sitesLocked() (all []*site) {
	for _, one := range s.all {
		all = append(all, one)
	}
	return all
}

// accept hands the connections of a service to its site, whichever that is then.
func (s *sites) accept(name string, listener net.Listener) {
	defer context.AfterFunc(s.ctx, func() { listener.Close() })()
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		for handed := false; !handed; {
			one := s.of(name)
			if one == nil || s.ctx.Err() != nil {
				c.Close()
				break
			}
			handed = one.door.hand(c)
		}
	}
}

// door is the listener of a site, through which each connection gets that was handed to it.
type door struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newDoor() *door {
	d := &door{conns: make(chan net.Conn), closed: make(chan struct{})}
	d.close = sync.OnceFunc(func() { close(d.closed) })
	return d
}

// hand reports false if the door is closed; otherwise somebody has accepted the connection.
func (d *door) hand(c net.Conn) bool {
	select {
	case d.conns <- c:
		return true
	case <-d.closed:
		return false
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error { d.close(); return nil }

// Addr implements net.Listener; who accepts does not ask.
func (d *door) Addr() net.Addr { return nil }
