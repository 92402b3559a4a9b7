package node

import (
	"apquic/quicproxy/internal/inspect"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/wait"
)

// Inspect is for the tests of this module.
func (n *Node) Inspect() inspect.Node {
	i := inspect.Node{
		Instance: n.instance, Memory: n.memory, WantLanes: func() { wait.Signal(n.lanes.wanted) },
		LimitClients: func(most int) { n.costs.clients = limit.NewClients(most, most, most).OfOneNode() },
		Clients:      func() int { return n.costs.clients.Open() }, Streams: &n.costs.streams, Unheard: &n.costs.unheard,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i.Association = n.association
	if l := n.link; l != nil {
		i.Conn, i.MaxLanes, i.Keepalives = &l.Conn, l.maxLanes, l.keepalives
	}
	return i
}
