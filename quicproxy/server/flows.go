package server

import (
	"net"

	"apquic/framing"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/flowlimit"
)

const (
	// unknownRate is how often a second a node is told that it has a flow that is not here.
	unknownRate = 10
	// maxFlows bounds the flows of all clients, maxFlowsOfNode those of a node, maxFlowsOfService those of a
	// service, and maxFlowsOfAddress those of a client address with it. A flow costs flowCost bytes, of which all
	// may have one in flowShare parts of the memory budget.
	maxFlows, maxFlowsOfNode, maxFlowsOfService, maxFlowsOfAddress = 1 << 16, 1 << 13, 1 << 12, 1 << 10

	flowCost, flowShare = 3 << 9, 4
)

func newFlowPlaces(budget int64) *flowlimit.Places {
	return flowlimit.New(flowlimit.Limits{
		All: int(min(budget/flowShare/flowCost, maxFlows)), Node: maxFlowsOfNode, Service: maxFlowsOfService, Address: maxFlowsOfAddress,
	})
}

// FlowSender implements public.Target.
func (c *nodeConn) FlowSender() (via *flow.Sender, process uint64) { return c.Flows, c.instance }

// handleDatagram takes a datagram of the node.
func (c *nodeConn) handleDatagram(d framing.Datagram) {
	if !c.server.public.Receive(c.node, c.instance, d) && c.unknowns.Allow() {
		c.Flows.Send("", framing.Datagram{Flow: d.Flow, Kind: framing.DatagramUnknown})
	}
}

func listenPacketEverywhere(port uint16) (net.PacketConn, error) {
	return net.ListenUDP("udp", &net.UDPAddr{Port: int(port)})
}
