package quicproxy

import (
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/relay"
)

// serverInspection is what tests see of a server beyond its status.
type serverInspection struct {
	Sessions     int        // of nodes, also those of which only relays are left
	Primary      []*carrier // connections, the newest of a node last
	Lanes        []*carrier
	Associations []*relay.Association
	Memory       *memoryBudget
	Clients      *limit.Clients
	Strangers    int // connections that were not admitted
}

// nodeInspection is what tests see of a node beyond its status.
type nodeInspection struct {
	Instance     uint64             // of the process
	Conn         *carrier           // in use; nil: there is none
	Association  *relay.Association // nil: none
	MaxLanes     uint32             // that the server allows
	Keepalives   *keepalive.Schedule
	Memory       *memoryBudget
	WantLanes    func()         // has it open lanes, as a server does that sees losses
	LimitClients func(most int) // of all addresses and of each
	Clients      func() int     // that have a place
	Streams      *limit.Count   // that the node serves
	Unheard      *limit.Count   // whose header has not come
}
