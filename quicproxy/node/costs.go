package node

import (
	"net/netip"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/internal/machine"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/relay"
)

const (
	// maxStreams is how many relays a node has at once over all its connections, maxUnheard how many of their
	// streams may lack their header, and maxDials how many upstreams it dials at once.
	maxStreams = quicconfig.MaxRelays
	maxUnheard = 1024
	maxDials   = 1024
)

// serverCosts is what the server may cost a node: the server is not trusted either.
type serverCosts struct {
	messages                *limit.Messages
	clients                 *clients.Places
	streams, unheard, dials limit.Count
}

func newServerCosts() serverCosts {
	all := machine.Sockets() // the session needs some files for itself
	return serverCosts{messages: limit.NewMessages(), clients: clients.New(all, all, all).OfOneNode()}
}

// claimedAddress returns the address of a client as the server claims it; invalid if it claims none.
func claimedAddress(clientAddress string) netip.Addr {
	address, err := netip.ParseAddrPort(clientAddress)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr()
}

// claimedClient is a client that the server claims to have.
type claimedClient struct {
	stream bytestream.Stream
	relay  atomic.Pointer[relay.Relay]
}

// evict ends the client's relay, or the dial that should become one.
func (c *claimedClient) evict() {
	c.stream.Discard(framing.ErrorNodeBusy)
	if r := c.relay.Load(); r != nil {
		r.Abort(framing.ErrorNodeBusy)
	}
}

// slowDown returns how long to stop reading after a message of the server.
func (l *link) slowDown(envelope framing.Envelope) time.Duration {
	return l.node.costs.messages.Came(time.Now(), len(envelope.Payload), envelope.Opcode == framing.OpProgress)
}
