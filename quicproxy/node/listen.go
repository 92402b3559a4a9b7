package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/node/internal/streamconn"
)

// acceptBacklog is how many connections may wait for Accept; more are refused.
const acceptBacklog = 128

// Listen exposes a service whose connections the caller accepts, without a local port. It returns when the
// service has a public address, which is the listener's; that requires Run to be running. Closing the
// listener withdraws the service; the server holds the address for the node.
func (n *Node) Listen(ctx context.Context, service string) (net.Listener, error) {
	e := &exposed{name: service}
	e.listener = &serviceListener{
		node: n, service: e,
		accepted: make(chan *streamconn.Conn, acceptBacklog),
		granted:  make(chan struct{}),
		done:     make(chan struct{}),
	}
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

// serviceListener takes the relays of a service for the caller of Listen.
type serviceListener struct {
	node     *Node
	service  *exposed
	accepted chan *streamconn.Conn
	granted  chan struct{} // closed at the first lease
	leased   sync.Once
	done     chan struct{} // closed by Close

	mu     sync.Mutex
	closed bool
}

// serve queues a relay for Accept, and returns when the caller has closed it, or it was reset and the caller
// had time to see that.
func (s *serviceListener) serve(l *link, stream bytestream.Stream, header *framing.StreamHeader) {
	c := streamconn.New(stream, header, func() {})
	account, leave := l.node.memory.From.Open(claimedAddress(header.ClientAddress))
	defer leave()
	defer c.CountAt(account)()
	if code := s.offer(c); code != framing.NoError {
		stream.Discard(code)
		return
	}
	c.AwaitEnd(l.node.over)
}

// offer queues a connection for Accept, or returns why it cannot.
func (s *serviceListener) offer(c *streamconn.Conn) framing.ErrorCode {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return framing.ErrorUnknownService
	}
	select {
	case s.accepted <- c:
		return framing.NoError
	default:
		return framing.ErrorNodeBusy
	}
}

// Accept returns the next connection, with its public addresses at both ends.
func (s *serviceListener) Accept() (net.Conn, error) {
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: s.Addr(), Err: net.ErrClosed}
	}
}

// Close withdraws the service and resets the connections that nobody accepted.
func (s *serviceListener) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: s.Addr(), Err: net.ErrClosed}
	}
	s.closed = true
	close(s.done)
	s.node.withdraw(s.service)
	for {
		select {
		case c := <-s.accepted:
			c.Abort(framing.ErrorUnknownService)
		default:
			return nil
		}
	}
}

// Addr is the public address of the service.
func (s *serviceListener) Addr() net.Addr {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	return streamconn.Address(strings.TrimPrefix(s.service.public, "tcp://"))
}
