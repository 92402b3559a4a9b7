package server

import (
	"cmp"
	"time"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/failure"
	"apquic/rules"
)

const (
	// Defaults of Config.
	defaultMaxClients, defaultMaxClientsPerAddress = 4096, 1024
	// relayShare is how many relays a node may have for each client it may have: some wait for an ack after
	// their client left.
	relayShare = 2
)

// holdTimeOf is that of a key about which a rule says something; 0: none does.
func (s *Server) holdTimeOf(key lease.Key) time.Duration { return s.rules.HoldTime(key, s.nameOf) }

// allowed is what the rules say about the node now.
func (c *nodeConn) allowed() rules.Limits { return c.server.rules.Of(c.node, c.admission.Name) }

// maxServices is how many services the node may have.
func (c *nodeConn) maxServices() int {
	return cmp.Or(c.allowed().MaxServices.Value, c.server.lessor.MaxPerNode())
}

// limits is what the server allows the node, as Welcome states it, and its account from then on.
func (c *nodeConn) limits() *framing.Limits {
	relays := relayShare * c.server.clients.PerNode(c.allowed().MaxClients.Value)
	return c.account.Limits(c.maxServices(), c.admission.ServicesNow(), relays)
}

// mayWrite is called before each request that writes to the store.
func (c *nodeConn) mayWrite() error {
	var wait time.Duration
	if c.countsAsGuest() {
		wait = c.server.writes.Ask(netaddr.Endpoint(c.QUIC.RemoteAddr()).Addr(), time.Now())
	}
	if wait == 0 {
		wait = c.account.Requests.Ask(time.Now())
	}
	if wait == 0 {
		return nil
	}
	return failure.TooOften(wait)
}

// slowDown returns how long the connection is not read after a message, which limits how fast a node can send
// them.
func (c *nodeConn) slowDown(envelope framing.Envelope) time.Duration {
	wait := c.account.Messages.Came(time.Now(), len(envelope.Payload), envelope.Opcode == framing.OpProgress)
	if wait > 0 {
		c.log.Warn("the node sends too many messages and is read more slowly")
	}
	return wait
}
