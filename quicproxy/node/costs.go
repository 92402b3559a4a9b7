package node

import (
	"net/netip"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/internal/machine"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

const (
	// maxStreams is how many relays a node has at once over all its connections, maxUnheard how many of their streams
	// whose header has not come, and maxDials how many upstreams it dials at once.
	maxStreams = conn.MaxRelays
	maxUnheard = 1024
	maxDials   = 1024
)

// serverCosts is what the server has a node do for it: the server is not trusted either.
type serverCosts struct {
	messages                *limit.Messages
	clients                 *limit.Clients
	streams, unheard, dials limit.Count
}

func newServerCosts() serverCosts {
	all := machine.Sockets() // the session needs some files for itself
	return serverCosts{messages: limit.NewMessages(), clients: limit.NewClients(all, all, all).OfOneNode()}
}

// claimedAddress is that of a client as the server tells it; invalid if it does not.
func claimedAddress(clientAddress string) netip.Addr {
	address, err := netip.ParseAddrPort(clientAddress)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr()
}

// claimedClient is a client of which the server tells.
type claimedClient struct {
	stream relay.Stream
	relay  atomic.Pointer[relay.Relay]
}

// evict ends the client's relay, or the dial that is to become one.
func (c *claimedClient) evict() {
	c.stream.Discard(framing.ErrorNodeBusy)
	if r := c.relay.Load(); r != nil {
		r.Abort(framing.ErrorNodeBusy)
	}
}

// slowDown is that of a server's messages.
func (l *link) slowDown(envelope framing.Envelope) time.Duration {
	return l.node.costs.messages.Came(time.Now(), len(envelope.Payload), envelope.Opcode == framing.OpProgress)
}
