// Package costs counts what a server may cost its node: the server is not trusted either.
//
// It must not act on a connection, except for a client that has to make room.
package costs

import (
	"net/netip"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/relay"
)

const (
	// MaxStreams is how many relays a node has at once over all its connections, MaxUnheard how many of their
	// streams may lack their header, and MaxDials how many upstreams it dials at once.
	MaxStreams = quicconfig.MaxRelays
	MaxUnheard = 1024
	MaxDials   = 1024
)

// Costs are those of one node.
type Costs struct {
	Messages                *limit.Messages
	Clients                 *clients.Places
	Streams, Unheard, Dials limit.Count
}

// New returns the Costs of a node that may have so many clients.
func New(most int) Costs {
	return Costs{Messages: limit.NewMessages(), Clients: clients.New(most, most, most).OfOneNode()}
}

// SlowDown returns how long to stop reading after a message of the server.
func (c *Costs) SlowDown(envelope framing.Envelope) time.Duration {
	return c.Messages.Came(time.Now(), len(envelope.Payload), envelope.Opcode == framing.OpProgress)
}

// Address returns the address of a client as the server claims it; invalid if it claims none.
func Address(client string) netip.Addr {
	address, err := netip.ParseAddrPort(client)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr()
}

// Client is one that the server claims to have.
type Client struct {
	Stream bytestream.Stream
	Relay  atomic.Pointer[relay.Relay] // if there is one
}

// Evict ends the client's relay, or the dial that should become one.
func (c *Client) Evict() {
	c.Stream.Discard(framing.ErrorNodeBusy)
	if r := c.Relay.Load(); r != nil {
		r.Abort(framing.ErrorNodeBusy)
	}
}
