package quicproxy

import "apquic/quicproxy/internal/limit"

// Inspect is for the tests of this module.
func (n *Node) Inspect() nodeInspection {
	i := nodeInspection{
		Instance: n.instance, Memory: n.memory, WantLanes: func() { signal(n.lanes.wanted) },
		LimitClients: func(most int) { n.costs.clients = limit.NewClients(most, most, most).OfOneNode() },
		Clients:      func() int { return n.costs.clients.Open() }, Streams: &n.costs.streams, Unheard: &n.costs.unheard,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i.Association = n.association
	if l := n.link; l != nil {
		i.Conn, i.MaxLanes, i.Keepalives = &l.carrier, l.maxLanes, l.keepalives
	}
	return i
}
