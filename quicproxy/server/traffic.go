package server

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/failure"
)

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
