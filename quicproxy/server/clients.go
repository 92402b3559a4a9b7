package server

import (
	"errors"
	"net"
	"sync/atomic"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

const (
	// Defaults of Config.
	defaultMaxClients           = 4096
	defaultMaxClientsPerAddress = 1024

	// relayShare is how many relays a node may have for each client that it may have: some wait for a confirmation
	// after their client left.
	relayShare = 2
)

// maxRelaysOfNode is how many relays a node may have at once.
func (s *Server) maxRelaysOfNode() int { return relayShare * s.clients.PerNode() }

// isLimit tells errors that an operator should know of, since something may be wrong with the clients.
func isLimit(err error) bool {
	for _, limit := range []error{
		limit.ErrServiceFull, limit.ErrNodeFull, limit.ErrAddressFull, limit.ErrNetworkFull, limit.ErrAddressFast, limit.ErrAllFull,
		errTooManyRelays, errTooManyWait, lease.ErrExhausted,
	} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// publicClient is a public connection that is to be relayed.
type publicClient struct {
	net.Conn
	place *limit.Client // given back when the connection is closed
	read  []byte        // what it sent to a relay of which the node never heard

	evicted atomic.Bool                 // its place was taken away
	relay   atomic.Pointer[relay.Relay] // the last that it has had
	wait    atomic.Pointer[parked]      // while it waits for its node
}

// evict ends the connection.
func (c *publicClient) evict() {
	c.evicted.Store(true)
	relay.ResetTCP(c.Conn)
	if w := c.wait.Load(); w != nil {
		w.wake()
	}
	if r := c.relay.Load(); r != nil {
		r.Abort(framing.ErrorRelayReset)
	}
}

// carriedBy notes which relay ends with the connection.
func (c *publicClient) carriedBy(r *relay.Relay) {
	c.relay.Store(r)
	if c.evicted.Load() {
		r.Abort(framing.ErrorRelayReset)
	}
}
