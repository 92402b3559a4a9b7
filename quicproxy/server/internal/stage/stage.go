// Package stage is how far a connection of a node has come.
//
//	joining --(its Welcome is written)-> primary --(a newer one enters)--> replaced
//	                                        |                                  |
//	                                        +-----(the node drains it,-----+---+
//	                                              or was dismissed)        |
//	                                                                       v
//	                                                                   retiring
//
// A lane, which carries relays in addition to the primary connection, is primary in this sense until it retires. The
// package must not know what a connection is.
package stage

import "sync/atomic"

// Stage is what a connection may do.
type Stage int32

// A connection is in one of these until QUIC ends it.
const (
	Joining  Stage = iota // may be in its session already, but carries nothing yet
	Primary               // takes new relays, and may request leases
	Replaced              // running relays end or move; leases stay until the successor requests them
	Retiring              // no new relays, and no leases
)

// Progress is the stage of one connection. The zero Progress is Joining.
type Progress struct{ reached atomic.Int32 }

// Become moves on to the next stage; it never goes back.
func (p *Progress) Become(next Stage) {
	for {
		now := p.reached.Load()
		if now >= int32(next) || p.reached.CompareAndSwap(now, int32(next)) {
			return
		}
	}
}

// Last returns the stage, also when the connection has ended.
func (p *Progress) Last() Stage { return Stage(p.reached.Load()) }
