package server

import (
	"context"
	"errors"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/private"
	"apquic/quicproxy/server/internal/ruled"
)

// maxConnecting is how many connections a node may have that only connect to private services.
const maxConnecting = 32

// sessionKey says whose session it is: a node's, or that of one of its processes that only connect.
type sessionKey struct {
	node     certs.NodeID
	connects bool
	instance uint64 // of the process, if it connects
}

func (c *nodeConn) sessionKey() sessionKey {
	if c.connects {
		return sessionKey{c.node, true, c.instance}
	}
	return sessionKey{node: c.node}
}

// caller is c as private services see it.
func (c *nodeConn) caller() private.Caller {
	return private.Caller{Conn: &c.Conn, Association: c.association, Account: c.account, Node: c.node, Name: c.admission.Name}
}

// connect joins a stream of a node that connects to a private service of another one.
func (c *nodeConn) connect(request *framing.Connect) (*framing.Connected, error) {
	if !c.connects {
		return nil, failure.BadRequest(errors.New("this process said that it has services of its own, so it cannot connect to others"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	node, run, err := c.server.exchange.Connect(ctx, c.caller(), request)
	if err != nil {
		return nil, err
	}
	c.log.Info("connect", "to", node, "service", request.Service)
	c.server.work.Go(func() {
		run()
		c.server.registry.tidy(c.session)
	})
	return &framing.Connected{Node: node[:]}, nil
}

// grantPrivate directs the nodes that connect to a private service to this connection. Nothing is leased, and a lease
// that the service had ends, unless it is pinned. It needs session.leases.
func (c *nodeConn) grantPrivate(r *framing.ProxyRequest) (*framing.ProxyResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if key := (lease.Key{Node: c.node, Service: r.Service}); c.server.lessor.IsPinned(key) {
		c.quitFormer(r.Service, key, true)
	} else if c.server.lessor.Has(key) {
		if err := c.mayWrite(); err != nil {
			return nil, err
		}
		if err := c.server.lessor.Release(ctx, key); err != nil {
			return nil, failure.OfLease(err)
		}
	}
	p, response, err := c.server.exchange.Offer(ctx, c.caller(), r, c.maxServices())
	if err == nil {
		p.Limit(c.server.rules.Clients(c.node, c.allowed(), c.log))
		c.attach(p, r)
		c.services[r.Service] = p
	}
	return response, ruled.Failure(c.allowed(), err)
}
