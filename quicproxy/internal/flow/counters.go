package flow

import "sync/atomic"

// Counters count the datagrams of a program. They never decrease.
type Counters struct {
	Sent, Received atomic.Uint64 // over QUIC, with a payload

	// Dropped, by reason.
	Away      atomic.Uint64 // there is no connection, or it ended first
	Overflow  atomic.Uint64 // others waited already
	Memory    atomic.Uint64 // the memory budget is used up
	NoPlace   atomic.Uint64 // as many flows as there may be
	NoFlow    atomic.Uint64 // of a flow that is not here
	Foreign   atomic.Uint64 // of a flow that is another node's
	Malformed atomic.Uint64
	Socket    atomic.Uint64 // the socket of the client or the upstream did not take it
}

// Dropped returns how many datagrams were dropped, by reason.
func (c *Counters) Dropped() map[string]uint64 {
	dropped := make(map[string]uint64)
	for reason, n := range map[string]*atomic.Uint64{
		"away": &c.Away, "overflow": &c.Overflow, "memory": &c.Memory, "noPlace": &c.NoPlace, "noFlow": &c.NoFlow,
		"foreign": &c.Foreign, "malformed": &c.Malformed, "socket": &c.Socket,
	} {
		if n := n.Load(); n > 0 {
			dropped[reason] = n
		}
	}
	return dropped
}
