// Package inspect is what the tests of this module see of servers and nodes beyond their status. Programs
// must not use it.
package inspect

import (
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/limit"
)

// Server is what tests see of a server beyond its status.
type Server struct {
	Sessions     int             // of nodes, including those with only relays left
	Primary      []*carrier.Conn // connections, the newest of a node last
	Lanes        []*carrier.Conn
	Associations []*association.Association
	Memory       *carrier.Budget
	Clients      *clients.Places
	Strangers    int // connections that were not admitted
	Datagrams    *flow.Counters

	// Leftovers counts what is left after the clients have left, and after the nodes have unless they stay.
	Leftovers func(nodesStay bool, count func(what string, n int))
}

// Node is what tests see of a node beyond its status.
type Node struct {
	Instance     uint64                   // of the process
	Conn         *carrier.Conn            // in use; nil: there is none
	Association  *association.Association // nil: none
	MaxLanes     uint32                   // as many as the server allows
	Keepalives   *keepalive.Schedule
	Memory       *carrier.Budget
	WantLanes    func()         // makes it open lanes, as a server that sees loss does
	LimitClients func(most int) // in total and for each address
	Clients      func() int     // clients that have a place
	Flows        func() int
	Streams      *limit.Count // the streams that the node serves
	Unheard      *limit.Count // streams whose header has not come
	Datagrams    *flow.Counters

	// Leftovers is the same for a node; the other side is the server.
	Leftovers func(serverStays bool, count func(what string, n int))
}
