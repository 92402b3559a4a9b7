package node

import (
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/inspect"
	"apquic/quicproxy/internal/wait"
)

// Inspect is for the tests of this module.
func (n *Node) Inspect() inspect.Node {
	i := inspect.Node{
		Instance: n.instance, Memory: n.memory, WantLanes: func() { wait.Signal(n.lanes.wanted) },
		LimitClients: func(most int) { n.costs.Clients = clients.New(most, most, most).OfOneNode() },
		Clients:      func() int { return n.costs.Clients.Open() }, Streams: &n.costs.Streams, Unheard: &n.costs.Unheard, Datagrams: &n.datagrams, Flows: n.flows.Len, Leftovers: n.leftovers,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i.Association = n.association
	if l := n.link; l != nil {
		i.Conn, i.MaxLanes, i.Keepalives = &l.Conn, l.maxLanes, l.keepalives
	}
	return i
}

// leftovers counts what is left after the clients have left, and after the server has unless it stays.
func (n *Node) leftovers(serverStays bool, count func(what string, n int)) {
	carriers := n.memory.Leftovers(count)
	count("clients", n.costs.Clients.Open())
	count("flows", n.flows.Len())
	count("streams", n.costs.Streams.Len())
	count("streams without a header", n.costs.Unheard.Len())
	count("dials", n.costs.Dials.Len())
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, service := range n.services {
		count("relays of a service", int(service.relays.Load()))
	}
	relays, conns := n.association.Size()
	count("relays in the association", relays)
	if !serverStays {
		count("connections", carriers+conns)
		return
	}
	for _, c := range n.association.Live() {
		count("relays on a connection", c.Relays.Len())
	}
}
