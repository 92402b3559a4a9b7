// Package inspect is what the tests of this module see of servers and nodes beyond their status. Programs must not use it.
package inspect

import (
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

// Server is what tests see of a server beyond its status.
type Server struct {
	Sessions     int             // of nodes, also those of which only relays are left
	Primary      []*carrier.Conn // connections, the newest of a node last
	Lanes        []*carrier.Conn
	Associations []*relay.Association
	Memory       *carrier.Budget
	Clients      *limit.Clients
	Strangers    int // connections that were not admitted

	// Leftovers counts what there is after the clients are gone, and after the nodes are unless they stay.
	Leftovers func(nodesStay bool, count func(what string, n int))
}

// Node is what tests see of a node beyond its status.
type Node struct {
	Instance     uint64             // of the process
	Conn         *carrier.Conn      // in use; nil: there is none
	Association  *relay.Association // nil: none
	MaxLanes     uint32             // that the server allows
	Keepalives   *keepalive.Schedule
	Memory       *carrier.Budget
	WantLanes    func()         // has it open lanes, as a server does that sees losses
	LimitClients func(most int) // of all addresses and of each
	Clients      func() int     // that have a place
	Streams      *limit.Count   // that the node serves
	Unheard      *limit.Count   // whose header has not come

	// Leftovers is that of a server; the other side is the server.
	Leftovers func(serverStays bool, count func(what string, n int))
}
