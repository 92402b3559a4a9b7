package server

import (
	"apquic/framing"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
)

const (
	// unknownRate is how often a second a node is told that it has a flow that is not here.
	unknownRate = 10
	// maxFlows bounds the flows of all clients, maxFlowsOfService those of a service, and maxFlowsOfAddress
	// those of a client address with it. A flow costs flowCost bytes, of which all may have one in flowShare
	// parts of the memory budget.
	maxFlows, maxFlowsOfService, maxFlowsOfAddress = 1 << 16, 1 << 12, 1 << 10
	flowCost, flowShare                            = 1 << 10, 4
)

func newFlowPlaces(budget int64) *clients.Places {
	return clients.New(int(min(budget/flowShare/flowCost, maxFlows)), maxFlowsOfService, maxFlowsOfAddress)
}

// FlowSender implements public.Target.
func (c *nodeConn) FlowSender() (via *flow.Sender, process uint64) { return c.Flows, c.instance }

// handleDatagram takes a datagram of the node.
func (c *nodeConn) handleDatagram(d framing.Datagram) {
	if !c.server.public.Receive(c.node, c.instance, d) && c.unknowns.Allow() {
		c.Flows.Send("", framing.Datagram{Flow: d.Flow, Kind: framing.DatagramUnknown})
	}
}
