package public

import (
	"net"
	"sync/atomic"

	"apquic/framing"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

// Client is a public connection that is to be relayed.
type Client struct {
	net.Conn
	Place *limit.Client // given back when the connection is closed
	Read  []byte        // what it sent to a relay of which the node never heard

	evicted atomic.Bool                 // its place was taken away
	relay   atomic.Pointer[relay.Relay] // the last that it has had
	wait    atomic.Pointer[parked]      // while it waits for its node
}

// evict ends the connection.
func (c *Client) evict() {
	c.evicted.Store(true)
	relay.ResetTCP(c.Conn)
	if w := c.wait.Load(); w != nil {
		w.wake()
	}
	if r := c.relay.Load(); r != nil {
		r.Abort(framing.ErrorRelayReset)
	}
}

// CarriedBy notes which relay ends with the connection.
func (c *Client) CarriedBy(r *relay.Relay) {
	c.relay.Store(r)
	if c.evicted.Load() {
		r.Abort(framing.ErrorRelayReset)
	}
}
