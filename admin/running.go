package admin

import (
	"context"
	"fmt"
	"time"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
)

// Selection says which relays or flows somebody asks for.
type Selection struct {
	Node    string // id or name; empty: of any
	Service string // empty: of any
	Skip    int    // rows before the first one
	Limit   int    // 0: as many as an answer has, 1000
	brief   bool   // the status without the services

	// Of totals: the days, such as 2026-11-27, and what has rows of its own, such as day,node.
	From, To, By string
}

// Page is a part of a list.
type Page[R any] struct {
	Total int `json:"total"` // how many rows the whole list has
	Rows  []R `json:"rows"`
}

// Relay is a public connection that runs, or waits for its node.
type Relay struct {
	Name string `json:"name,omitempty"` // of the node
	live.Relay
}

// Flow is what a client and a service over UDP send each other.
type Flow struct {
	Name string `json:"name,omitempty"` // of the node
	live.Flow
}

// KickRequest names a node whose session is to end.
type KickRequest struct {
	Node string `json:"node"` // id or name
}

// Kicked is what that did.
type Kicked struct {
	Node
	Connections int `json:"connections"` // public ones that were ended
}

// Connection is that of a node.
type Connection struct {
	Address       string     `json:"address"`
	RTT           float64    `json:"rttMilliseconds"`
	MinRTT        float64    `json:"minRTTMilliseconds"`
	Sent          uint64     `json:"packetsSent"` // by the server
	Lost          uint64     `json:"packetsLost"` // of these
	BytesSent     uint64     `json:"bytesSent"`   // over all connections of the node, in QUIC packets
	BytesReceived uint64     `json:"bytesReceived"`
	Datagrams     bool       `json:"datagrams"` // it carries UDP
	Moves         int        `json:"moves"`     // how often the node's address changed
	Moved         *time.Time `json:"moved,omitempty"`
	Returns       uint64     `json:"returns"`                    // how often the node made a new connection while it was here
	Keepalive     float64    `json:"keepaliveSeconds,omitempty"` // between the last two
	Heard         *time.Time `json:"heard,omitempty"`            // when the last keepalive came
	Silent        bool       `json:"silent,omitempty"`           // it does not answer at the moment
	Lanes         int        `json:"lanes"`                      // additional connections
	Relays        int        `json:"relays"`                     // over all of them
	Memory        int64      `json:"memory"`                     // bytes held for the node
}

// addSession adds what the server says of one connection of the node.
func (n *Node) addSession(s server.SessionStatus) {
	if n.Connection == nil {
		n.Connection = new(Connection)
	}
	c, path := n.Connection, s.Path
	c.Relays += s.Relays
	c.BytesSent, c.BytesReceived = c.BytesSent+path.BytesSent, c.BytesReceived+path.BytesReceived
	switch {
	case s.Lane:
		c.Lanes++
	case s.Primary:
		n.State, n.Since, n.From, n.Version = Online, orNone(s.Since), hostOf(s.Address), s.Version
		c.Address, c.RTT, c.MinRTT, c.Sent, c.Lost = s.Address, milliseconds(path.RTT), milliseconds(path.MinRTT), path.Sent, path.Lost
		c.Datagrams, c.Moves, c.Moved, c.Returns = path.Datagrams, path.Moves, orNone(path.Moved), s.Turn-min(s.Turn, 1)
		c.Keepalive, c.Heard, c.Silent, c.Memory = path.Keepalive.Seconds(), orNone(path.Heard), s.Silent, s.Memory
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ListRelays implements Operations.
func (a *Authority) ListRelays(ctx context.Context, s Selection) (page Page[Relay], err error) {
	which, names, err := a.selection(ctx, s)
	if err != nil {
		return page, err
	}
	rows, total := a.Core.Relays(which)
	page.Total, page.Rows = total, make([]Relay, len(rows))
	for i, row := range rows {
		page.Rows[i] = Relay{names[row.Node], row}
	}
	return page, nil
}

// ListFlows implements Operations.
func (a *Authority) ListFlows(ctx context.Context, s Selection) (page Page[Flow], err error) {
	which, names, err := a.selection(ctx, s)
	if err != nil {
		return page, err
	}
	rows, total := a.Core.Flows(which)
	page.Total, page.Rows = total, make([]Flow, len(rows))
	for i, row := range rows {
		page.Rows[i] = Flow{names[row.Node], row}
	}
	return page, nil
}

// selection returns what is asked for, and the names of the nodes.
func (a *Authority) selection(ctx context.Context, s Selection) (which live.Selection, names map[certs.NodeID]string, err error) {
	which = live.Selection{Service: s.Service, Skip: s.Skip, Limit: s.Limit}
	if s.Node != "" {
		node, err := a.which(ctx, s.Node)
		if err != nil {
			return which, nil, err
		}
		which.Node = node.ID
	}
	nodes, err := a.all(ctx)
	if err != nil {
		return which, nil, err
	}
	names = make(map[certs.NodeID]string, len(nodes))
	for _, node := range nodes {
		names[node.ID] = node.Name
	}
	return which, names, nil
}

// Kick implements Operations.
func (a *Authority) Kick(ctx context.Context, r KickRequest) (Kicked, error) {
	known, err := a.which(ctx, r.Node)
	if err != nil {
		return Kicked{}, err
	}
	node, err := a.node(ctx, known.ID)
	if err != nil {
		return Kicked{}, err
	}
	if a.Core.Kick(known.ID) == 0 {
		return Kicked{}, hint.Add(fmt.Errorf("%s has no session here", nameOf(known.Name, known.ID)), "apquic-server nodes lists those that are online")
	}
	kicked := Kicked{Node: node}
	if node.Connection != nil {
		kicked.Connections = node.Connection.Relays
	}
	a.audit("kick", "node", known.ID, "name", known.Name)
	return kicked, nil
}
