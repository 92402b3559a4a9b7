// Package presence says what nodes have at a server.
//
// It must not decide what follows.
package presence

import (
	"apquic/certs"
	"apquic/lease"
)

// Presence is what a node has here.
type Presence struct {
	Session bool
	Kept    bool // leases that others could get if it were dismissed
	Guest   bool // leases from before it was known, if it is known
}

// OnlyGuest reports that nobody ever let the node in, and that it is not here.
func (p Presence) OnlyGuest() bool { return !p.Session && !p.Kept }

// OfLeases returns what the nodes have whose leases these are, apart from reserved ones.
func OfLeases(leases []lease.Lease) map[certs.NodeID]Presence {
	nodes := make(map[certs.NodeID]Presence)
	for _, l := range leases {
		if !l.Reserved && !l.IsGroup() {
			was := nodes[l.Node]
			nodes[l.Node] = Presence{Kept: was.Kept || l.Kept, Guest: was.Guest || !l.Kept}
		}
	}
	return nodes
}
