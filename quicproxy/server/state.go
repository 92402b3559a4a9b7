package server

// connState is what a connection of a node may do.
//
//	joining --(it enters its session)--> primary --(a newer one enters)--> replaced
//	                                        |                                  |
//	                                        +-----(the node drains it,-----+---+
//	                                              or was dismissed)        |
//	                                                                       v
//	   ... each of them --(QUIC's end)--> closed                       retiring
//
// A lane, which carries relays beside the primary connection, is primary in this sense until it retires.
type connState int32

const (
	joining  connState = iota // it is not admitted yet
	primary                   // it takes new relays, and asks for leases
	replaced                  // running relays end or go on elsewhere; leases stay until its successor asks for them
	retiring                  // no new relays, and no leases
	closed                    // it has ended
)

func (s connState) String() string {
	return [...]string{"joining", "primary", "replaced", "retiring", "closed"}[s]
}

// become moves c on; it never goes back. To be replaced or to retire needs session.leases, or leases are given to a
// connection that has none.
func (c *nodeConn) become(next connState) {
	for {
		now := c.reached.Load()
		if now >= int32(next) || c.reached.CompareAndSwap(now, int32(next)) {
			return
		}
	}
}

// state is where c is now.
func (c *nodeConn) state() connState {
	if c.QUIC.Context().Err() != nil {
		return closed
	}
	return c.last()
}

// last is where c is, or was when it ended.
func (c *nodeConn) last() connState { return connState(c.reached.Load()) }
