package server

import (
	"cmp"
	"context"
	"errors"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/server/internal/failure"
	"apquic/quicproxy/server/internal/private"
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
	node, p, err := c.server.exchange.Find(ctx, c.caller(), request)
	if err != nil {
		return nil, err
	}
	run, err := c.server.exchange.Join(c.caller(), c.server.exchange.NameOf(ctx, c.caller()), p, request.Number)
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
// that the service had ends. It needs session.leases.
func (c *nodeConn) grantPrivate(request *framing.ProxyRequest) (*framing.ProxyResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if key := (lease.Key{Node: c.node, Service: request.Service}); c.server.lessor.Has(key) {
		err := c.mayWrite()
		if err == nil {
			err = c.server.lessor.Release(ctx, key)
		}
		if err != nil {
			return nil, failure.OfLease(err)
		}
	}
	p, err := c.server.exchange.Offer(c.node, request, cmp.Or(c.server.config.MaxServices, lease.DefaultMaxPerNode))
	if err != nil {
		return nil, err
	}
	p.Attach(c, request.Movable)
	c.services[request.Service] = p
	return &framing.ProxyResponse{
		OriginAddress: request.OriginAddress, Service: request.Service, ProxyAddress: c.server.exchange.Address(ctx, c.caller(), request.Service),
	}, nil
}
