// Package live is what a server or a node says of what runs at the moment: sessions and their paths, relays, flows, and
// how much of each limit is used. Whoever has it copies it when somebody asks; nothing is kept or done for it at
// other times.
//
// It must not know a connection, a socket or a counter.
package live

import (
	"time"

	"apquic/certs"
)

// Counters never decrease.
type Counters struct {
	Relays   uint64 // relays begun
	Refused  uint64 // public connections reset without a relay, or told that nobody has the name; the sum of RefusedBy
	Answered uint64 // requests that the server answered itself: sent to https, or those of an authority
	Stalled  uint64 // relays reset for lack of memory
	// ToNode and FromNode are the bytes of relays and flows, also of those that have ended.
	ToNode, FromNode uint64
	RefusedBy        map[string]uint64 // by reason; without those that are 0
	// DatagramsToNodes and DatagramsFromNodes are those of flows, and DatagramsDropped those that went
	// nowhere, by reason.
	DatagramsToNodes, DatagramsFromNodes uint64
	DatagramsDropped                     map[string]uint64
	// Lasted is how long the relays lasted that have ended, and RTTs the round trip times of their nodes then.
	Lasted, RTTs Histogram
	// FirstBytes is how long relays waited for the first byte of their service, and Canaries how long services took to
	// answer canaries.
	FirstBytes, Canaries Histogram
}

// Histogram is how many durations there were: Counts[i] of at most Bounds[i] seconds, but more than the bound before.
// The last of Counts, one more than Bounds, is of those that were longer.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64 // of all, in seconds
}

// Session is one live connection of a node.
type Session struct {
	Node     certs.NodeID
	Name     string // what the operator called it when it connected
	Address  string // as the server sees it
	Version  string
	Instance uint64 // the number of the node's process
	Since    time.Time
	Relays   int  // running now
	Primary  bool // takes new relays
	Lane     bool // carries relays beside the primary one
	Connects bool // only to private services of other nodes
	Silent   bool // the node does not acknowledge what it is sent
	Path     Path
	Turn     uint64 // how many primary connections the session has had, with this one
	Memory   int64  // bytes held for the node, over all of its connections
}

// Path is a connection as its packets see it. Loss is that of what this side sent.
type Path struct {
	RTT, MinRTT              time.Duration // smoothed, and the least
	Sent, Lost               uint64        // packets
	BytesSent, BytesReceived uint64
	Datagrams                bool          // it carries flows
	Moves                    int           // how often the other side's address changed
	Moved                    time.Time     // when it did so last; zero: never
	Keepalive                time.Duration // between the last two keepalives of a node; 0: there were none
	Heard                    time.Time     // when the last one came; zero: none did
}

// Relay is one public connection that runs, or waits for its node.
type Relay struct {
	Node    certs.NodeID `json:"node,omitzero"` // zero: a group, and no node has it yet
	Service string       `json:"service"`       // or the group
	Port    uint16       `json:"port,omitempty"`
	Domain  string       `json:"domain,omitempty"`
	Private bool         `json:"private,omitempty"`
	Client  string       `json:"client"`
	Since   time.Time    `json:"since"`
	In      uint64       `json:"bytesIn"`  // from the client, so far
	Out     uint64       `json:"bytesOut"` // to the client
	// State is running; waiting for a node that is away, so that it has not begun; or resuming: it has lost its
	// connection, and waits for another one.
	State   string `json:"state"`
	Resumed uint64 `json:"resumed,omitempty"` // how often it went on over another stream
}

// Flow is what one client address and a service over UDP send each other.
type Flow struct {
	Node     certs.NodeID `json:"node,omitzero"` // zero: no node has it yet
	Service  string       `json:"service"`
	Port     uint16       `json:"port"`
	Client   string       `json:"client"`
	Since    time.Time    `json:"since"`
	In       uint64       `json:"bytesIn"`     // from the client, so far
	Out      uint64       `json:"bytesOut"`    // to the client
	Idle     float64      `json:"idleSeconds"` // since something passed
	Answered bool         `json:"answered"`    // the service has sent something
}

// Usage is how much of a limit is used.
type Usage struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

// Budgets are the limits that all nodes and clients share.
type Budgets struct {
	Memory  Usage `json:"memory"`  // bytes held for nodes and clients
	Clients Usage `json:"clients"` // public connections, and the sockets of leases
	Flows   Usage `json:"flows"`
	Files   Usage `json:"files"` // open in the whole process
}

// Canary is how a service answers a server that asks from time to time.
type Canary struct {
	Every    time.Duration // how often it is asked
	Last     time.Time     // when it last answered; zero: it has not yet
	Failing  string        // why it did not answer the last time; empty: it did
	Since    time.Time     // since when it has not; zero: it does
	Proofs   uint64        // how often it did
	Failures uint64
}
