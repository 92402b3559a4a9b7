package server

import (
	"apquic/framing"
	"apquic/quicproxy/internal/flow"
)

// unknownRate is how often a second a node is told that it has a flow that is not here.
const unknownRate = 10

// FlowSender implements public.Target.
func (c *nodeConn) FlowSender() (via *flow.Sender, process uint64) { return c.Flows, c.instance }

// handleDatagram takes a datagram of the node.
func (c *nodeConn) handleDatagram(d framing.Datagram) {
	if !c.server.public.Receive(c.node, c.instance, d) && c.unknowns.Allow() {
		c.Flows.Send("", framing.Datagram{Flow: d.Flow, Kind: framing.DatagramUnknown})
	}
}
