package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/streamconn"
	"apquic/quicproxy/node/internal/costs"
	"apquic/quicproxy/node/internal/upstream"
)

// Listen exposes a service whose connections the caller accepts, without a local port. It returns when the
// service has a public address, which is the listener's; that requires Run to be running. Closing the
// listener withdraws the service; the server holds the address for the node.
func (n *Node) Listen(ctx context.Context, service string) (net.Listener, error) {
	e := &exposed{name: service, listener: newServiceListener(n, service), relays: new(atomic.Int64)}
	if err := n.expose(e); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	select {
	case <-e.listener.granted:
		return e.listener, nil
	case <-ctx.Done():
		e.listener.Close()
		e.mu.Lock()
		defer e.mu.Unlock()
		return nil, fmt.Errorf("listen: no public address for %q yet: %w", service, errors.Join(context.Cause(ctx), e.refusal))
	}
}

// Listener returns the listener of a service with Service.Accept, or nil; the same one until the service is gone. It must
// not be used before Run.
func (n *Node) Listener(service string) net.Listener {
	if e := n.service(service); e != nil && e.accepts() {
		return e.listener
	}
	return nil
}

// Dial connects to the upstream of a service, which may be served by the node itself.
func (n *Node) Dial(ctx context.Context, service string) (net.Conn, error) {
	e := n.service(service)
	if e == nil || e.upstream == nil {
		return nil, fmt.Errorf("there is no service %q with an upstream", service)
	}
	if !e.upstream.Serves() {
		return e.upstream.Dial(ctx, upstream.Client{})
	}
	near, far := net.Pipe()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return nil, net.ErrClosed
	}
	n.relaying.Go(func() { e.upstream.Serve(far) })
	return near, nil
}

// serviceListener takes the relays of a service for who accepts them.
type serviceListener struct {
	*streamconn.Queue
	granted chan struct{} // closed at the first lease
	leased  sync.Once
}

func newServiceListener(n *Node, service string) *serviceListener {
	s := &serviceListener{granted: make(chan struct{})}
	s.Queue = streamconn.NewQueue(func() streamconn.Address { return n.service(service).publicAddress() }, func() { n.withdraw(s) })
	return s
}

// accept queues a relay for the listener's Accept, and returns when it was closed, or it was reset and whoever accepted
// it had time to see that.
func (e *exposed) accept(l *link, stream bytestream.Stream, header *framing.StreamHeader) {
	from := costs.Address(header.ClientAddress)
	var place *clients.Place
	c := streamconn.New(stream, header, func() { place.Active() })
	place, err := l.node.costs.Clients.Admit(clients.Service{Name: e.name}, from, func() { c.Abort(framing.ErrorNodeBusy) })
	if err != nil {
		stream.Discard(framing.ErrorNodeBusy)
		return
	}
	defer place.Leave()
	account, leave := l.node.memory.From.Open(from)
	defer leave()
	defer c.CountAt(account)()
	held := account.Open(c)
	defer held.Close()
	code := framing.ErrorNodeBusy
	switch {
	case e.cost > 0 && held.Take(e.cost, 0) == 0:
	case e.guard != nil:
		code = framing.NoError
		defer e.guard.Handle(c)()
	default:
		code = e.listener.Offer(c)
	}
	if code != framing.NoError {
		stream.Discard(code)
		return
	}
	e.relays.Add(1)
	defer e.relays.Add(-1)
	c.AwaitEnd(l.node.over)
}

// publicAddress is the public address of the service; empty: it is gone.
func (e *exposed) publicAddress() streamconn.Address {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, address, _ := strings.Cut(e.public, "://")
	return streamconn.Address(address)
}
