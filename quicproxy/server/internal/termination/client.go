package termination

import (
	"net"
	"sync"
)

const (
	// requestCost is how much memory a request that is on its way costs, about, in bytes; bodyCost is what may wait of
	// its body and its answer, of maxBodies at most.
	requestCost         = 64 << 10
	bodyCost, maxBodies = 512 << 10, 2
)

// Requests are those of a client that are on their way.
type Requests struct {
	// Cost takes their memory, want bytes or 0, and gives it back.
	Cost interface {
		Take(want, few int) int
		Add(n int)
	}

	mu     sync.Mutex
	bodies int // how many count with a body
}

// Begin counts a request until end; ok: there is room for it.
func (r *Requests) Begin(body bool) (end func(), ok bool) {
	cost, bodies := requestCost, 0
	r.mu.Lock()
	defer r.mu.Unlock()
	if body && r.bodies < maxBodies {
		cost, bodies = cost+bodyCost, 1
	}
	if r.Cost.Take(cost, 0) == 0 {
		return nil, false
	}
	r.bodies += bodies
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies -= bodies
		r.Cost.Add(-cost)
	}, true
}

// HalfConn is a connection that can end one direction, and be reset, if the one inside can.
type HalfConn struct{ net.Conn }

// SetLinger lets a relay reset the connection.
func (c HalfConn) SetLinger(seconds int) error {
	if l, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return nil
}

// CloseWrite ends the direction to the client.
func (c HalfConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
