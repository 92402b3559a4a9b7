package server

import (
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/path"
)

// mayWrite is asked for each request that writes to the store, before it does.
func (c *nodeConn) mayWrite() error {
	var wait time.Duration
	if c.countsAsGuest() {
		wait = c.server.writes.Ask(path.AddrPort(c.QUIC.RemoteAddr()).Addr().Unmap(), time.Now())
	}
	if wait == 0 {
		wait = c.account.Requests.Ask(time.Now())
	}
	if wait == 0 {
		return nil
	}
	return &quicproxy.FailureError{
		Code: framing.ErrorBusy, Text: "this node asks too often", RetryAfter: wait,
		Advice: "nothing needs to be done, the node asks again; if it goes on, look whether something restarts it again and again",
	}
}

// slowDown says how long the connection is not read after a message: whoever sends too many is slowed down.
func (c *nodeConn) slowDown(envelope framing.Envelope) time.Duration {
	wait := c.account.Messages.Came(time.Now(), len(envelope.Payload), envelope.Opcode == framing.OpProgress)
	if wait > 0 {
		c.log.Warn("the node sends more messages than it may, and is read more slowly")
	}
	return wait
}
