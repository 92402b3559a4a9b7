// Package ruling is what the rules of a server say about the clients of a node's services.
//
// It must not know the rules, of which nodes have no need.
package ruling

import (
	"errors"

	"apquic/quicproxy"
)

// ErrSpent is why a visitor is refused whose node has no bytes left in this month.
var ErrSpent = errors.New("the node has used up the bytes that it may have in this month")

// Limit is what a rule says for one node, in the place of what the server says for all.
type Limit struct {
	Value int64  // 0: no limit
	By    string // what says so, as a sentence calls it; empty: nothing does
}

// Limits are those of the clients of each service of a node.
type Limits struct {
	Clients, PerAddress, Rate Limit // of connections: at once, the same of one address, and new ones per second
	BytesIn, BytesOut         Limit // per second
	// Spent is that by which the node has no bytes left in this month, and so no clients; empty: nothing.
	Spent string
}

// On returns what the server says for all, with what the limits say instead.
func (l Limits) On(v quicproxy.Visitors) quicproxy.Visitors {
	if l.Rate.By != "" {
		v.Rate = int(l.Rate.Value)
	}
	if l.BytesIn.By != "" {
		v.BytesIn = l.BytesIn.Value
	}
	if l.BytesOut.By != "" {
		v.BytesOut = l.BytesOut.Value
	}
	return v
}
