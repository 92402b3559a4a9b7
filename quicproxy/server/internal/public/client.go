package public

import (
	"net"
	"sync/atomic"

	"apquic/framing"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/server/internal/members"
)

// Client is a public connection to be relayed.
type Client struct {
	net.Conn
	Place   *clients.Place // given back when the connection is closed
	Read    []byte         // what was read from it, and is to be sent first
	Name    string         // that it came for; empty: for a port, or as a node
	TLS     bool           // it came for a domain and speaks TLS
	Ended   bool           // it came for a name and spoke TLS, which ended here
	Refused bool           // its last relay was reset by the node before anything came back
	Begun   bool           // it had a relay that the node never saw
	Offer   members.Offer  // of the node that it goes to
	// NodeName is what the server calls the node that connects to a private service; may be empty.
	NodeName string

	address, public net.Addr // both ends of its connection to a load balancer, or a node; nil: this is its connection

	evicted atomic.Bool                 // it had to make room
	relay   atomic.Pointer[relay.Relay] // its last one
	wait    atomic.Pointer[parked]      // set while it waits for its node
	inner   atomic.Pointer[Client]      // the same, after its TLS was ended
}

// RemoteAddr is the client's address, which the load balancer has said if there is one.
func (c *Client) RemoteAddr() net.Addr {
	if c.address != nil {
		return c.address
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr is the public address that the client connected to.
func (c *Client) LocalAddr() net.Addr {
	if c.public != nil {
		return c.public
	}
	return c.Conn.LocalAddr()
}

// evict ends the connection: its relay first, which would otherwise take the end for the client's.
func (c *Client) evict() {
	c.evicted.Store(true)
	if inner := c.inner.Load(); inner != nil {
		inner.evict()
	}
	if r := c.relay.Load(); r != nil {
		r.Abort(framing.ErrorRelayReset)
	}
	relay.ResetTCP(c.Conn)
	if w := c.wait.Load(); w != nil {
		w.Wake()
	}
}

// goesOnAs notes who is to be evicted with the client.
func (c *Client) goesOnAs(inner *Client) {
	c.inner.Store(inner)
	if c.evicted.Load() {
		inner.evict()
	}
}

// CarriedBy notes which relay to abort when the client is evicted.
func (c *Client) CarriedBy(r *relay.Relay) {
	c.relay.Store(r)
	if c.evicted.Load() {
		r.Abort(framing.ErrorRelayReset)
	}
}
