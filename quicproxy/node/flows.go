package node

import (
	"context"
	"errors"
	"net"
	"slices"

	"apquic/framing"
	"apquic/quicproxy/node/internal/costs"
	"apquic/quicproxy/node/internal/flows"
	"apquic/quicproxy/node/internal/upstream"
)

// flowsShare: flows have one in flowsShare parts of the sockets that a node may have. A flow costs flowCost
// bytes, of which all may have one in flowsShare parts of the memory budget.
const flowsShare, flowCost = 4, 16 << 10

// newFlows makes the flows of a node, which may have so many sockets for clients.
func (n *Node) newFlows(sockets int) {
	n.flows = flows.New(flows.Config{
		Dial: n.dialFlow, Has: func(service string) bool { return n.service(service).hasUDP() }, Counters: &n.datagrams,
		Most: max(min(sockets/flowsShare, int(n.memory.Size()/flowsShare/flowCost)), 1),
	})
}

// reserveLocked takes the sockets of flows from relays, which keep all of them until a service is over UDP.
func (n *Node) reserveLocked() {
	if !n.reserved && slices.ContainsFunc(n.services, (*exposed).hasUDP) {
		n.reserved = true
		n.costs.Clients.Reserve(n.flows.Most())
	}
}

// dialFlow returns a socket that is connected to the upstream of a service.
func (n *Node) dialFlow(ctx context.Context, service, client, public string) (net.Conn, []byte, error) {
	e := n.service(service)
	if !e.hasUDP() {
		return nil, nil, errors.New("the service is gone")
	}
	if !n.costs.Dials.Take(costs.MaxDials / 2) { // the others are for relays
		return nil, nil, errors.New("too many upstreams are dialed at once")
	}
	defer n.costs.Dials.Give()
	conn, prefix, err := e.upstream.DialUDP(ctx, upstream.Client{Address: client, Public: public})
	e.upstream.Dialled(n.log, e.name, err)
	return conn, prefix, err
}

func (e *exposed) hasUDP() bool { return e != nil && e.listener == nil && e.upstream.HasUDP() }

// transport is what the clients of the service are to use, as in ProxyRequest.
func (e *exposed) transport() uint32 {
	switch {
	case !e.hasUDP():
		return 0
	case e.upstream.HasStreams():
		return 3
	}
	return 2
}

// carryFlows makes the connection carry flows, if the server's process does. It comes before Begin.
func (l *link) carryFlows(process uint64) {
	if l.Lane {
		return
	}
	if l.features.Has(framing.FeatureFlows) {
		l.CarryFlows(l.node.memory.Peer, &l.node.datagrams, func(d framing.Datagram) { l.node.flows.Handle(l.Flows, process, d) })
	}
	l.node.flows.Use(l.Flows, process)
}
