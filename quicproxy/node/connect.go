package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/node/internal/naming"
	"apquic/quicproxy/node/internal/private"
	"apquic/quicproxy/node/internal/reason"
)

// Connect connects to a private service of another node, by its id or by the name that the server calls it. It requires
// Config.Connects, and Run to be running. The connection also has CloseWrite, and SetLinger as that of TCP. A service that
// was there before has a moment to come back.
func (n *Node) Connect(ctx context.Context, node, service string) (c net.Conn, err error) {
	err = n.reached.Try(ctx, node+"/"+service, func() error {
		c, err = n.connectOnce(ctx, node, service)
		return err
	})
	return c, err
}

func (n *Node) connectOnce(ctx context.Context, node, service string) (net.Conn, error) {
	l, err := n.connected(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	asked := &exposed{name: service, cost: private.Cost, listener: newServiceListener(n, service), relays: new(atomic.Int64)}
	defer asked.listener.Close()
	number, forget := n.asked.Add(asked)
	defer forget()
	request, response := &framing.Connect{Node: node, Service: service, Number: number}, new(framing.Connected)
	if err := l.Control.Request(ctx, framing.OpConnect, request, framing.OpConnected, response); err != nil {
		return nil, conn.Explain(err, n.peerName())
	}
	id, err := private.Meant(node, response.Node, n.config.KnownNode)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { asked.listener.Close() })()
	defer context.AfterFunc(l.QUIC.Context(), func() { asked.listener.Close() })()
	stream, err := asked.listener.Accept()
	if err != nil {
		return nil, fmt.Errorf("connect: the server sent no stream: %w", errors.Join(err, context.Cause(ctx)))
	}
	return private.Dial(ctx, stream.(private.Stream), n.config.Key, id, service)
}

// connected waits for a connection to a server with private services, unless there will be none until a person does
// something.
func (n *Node) connected(ctx context.Context) (*link, error) {
	for {
		changed := n.linked.Changed()
		n.mu.Lock()
		l, trouble := n.link, n.trouble
		n.mu.Unlock()
		if l != nil {
			err := reason.TooOld(&framing.ProxyRequest{Private: true}, l.features)
			if err != nil || l.QUIC.Context().Err() == nil {
				return l, err
			}
		}
		if reason.IsNotAuthorized(trouble) {
			return nil, trouble
		}
		select {
		case <-changed.Done():
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), trouble)
		}
	}
}

// serviceFor returns who takes a stream: a service, or who asked for it, once. nil: nobody.
func (n *Node) serviceFor(header *framing.StreamHeader) *exposed {
	if header.Connect > 0 {
		return n.asked.Take(header.Connect)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := find(n.services, header.Service); e != nil || n.link == nil {
		return e
	}
	return n.link.registered[header.Service] // the server sent a client before it heard that the service is gone
}

// guard has only some nodes connect to a service.
func (n *Node) guard(e *exposed, service Service) (err error) {
	if e.naming != (naming.Naming{}) || service.PublicPort != 0 || service.Accept || !e.upstream.HasStreams() {
		return errors.New("a private service has neither port nor name, no UDP, and no connections that the program accepts")
	}
	e.cost = private.Cost
	e.guard, err = private.New(private.Config{
		Service: service.Name, Key: n.config.Key, Allow: service.AllowNodes, Known: n.config.KnownNode, Upstream: e.upstream,
		Reached: func(err error) { e.upstream.Dialled(n.log, e.name, err) }, Log: n.log,
	})
	return err
}
