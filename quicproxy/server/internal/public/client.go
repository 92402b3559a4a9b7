package public

import (
	"net"
	"sync/atomic"

	"apquic/framing"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/relay"
)

// Client is a public connection to be relayed.
type Client struct {
	net.Conn
	Place *clients.Place // given back when the connection is closed
	Read  []byte         // what it sent to a relay that the node never saw

	evicted atomic.Bool                 // it had to make room
	relay   atomic.Pointer[relay.Relay] // its last one
	wait    atomic.Pointer[parked]      // set while it waits for its node
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

// CarriedBy notes which relay to abort when the client is evicted.
func (c *Client) CarriedBy(r *relay.Relay) {
	c.relay.Store(r)
	if c.evicted.Load() {
		r.Abort(framing.ErrorRelayReset)
	}
}
