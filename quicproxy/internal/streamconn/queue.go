package streamconn

import (
	"net"
	"sync"

	"apquic/framing"
)

// backlog is how many connections may wait for Accept; more are refused.
const backlog = 128

// Queue is a net.Listener of the connections that it is offered.
type Queue struct {
	address  func() Address
	ended    func() // called by Close
	accepted chan *Conn
	done     chan struct{} // closed by Close

	mu     sync.Mutex
	closed bool
}

// NewQueue returns an empty queue. address is where clients connect to, ended is called when it is closed.
func NewQueue(address func() Address, ended func()) *Queue {
	return &Queue{address: address, ended: ended, accepted: make(chan *Conn, backlog), done: make(chan struct{})}
}

// Offer queues a connection for Accept, or returns why it cannot.
func (q *Queue) Offer(c *Conn) framing.ErrorCode {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return framing.ErrorUnknownService
	}
	select {
	case q.accepted <- c:
		return framing.NoError
	default:
		return framing.ErrorNodeBusy
	}
}

// Addr is the public address.
func (q *Queue) Addr() net.Addr { return q.address() }

// Accept returns the next connection, with its public addresses at both ends.
func (q *Queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.accepted:
		return c, nil
	case <-q.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: q.Addr(), Err: net.ErrClosed}
	}
}

// Close refuses further connections, and resets those that nobody accepted.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: q.Addr(), Err: net.ErrClosed}
	}
	q.closed = true
	close(q.done)
	q.mu.Unlock()
	q.ended()
	for {
		select {
		case c := <-q.accepted:
			c.Abort(framing.ErrorUnknownService)
		default:
			return nil
		}
	}
}
