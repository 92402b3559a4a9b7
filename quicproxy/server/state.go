package server

// connState is what a connection of a node may do.
//
//	joining --(its Welcome is written)-> primary --(a newer one enters)--> replaced
//	                                        |                                  |
//	                                        +-----(the node drains it,-----+---+
//	                                              or was dismissed)        |
//	                                                                       v
//	   ... each of them --(QUIC's end)--> closed                       retiring
//
// A lane, which carries relays in addition to the primary connection, is primary in this sense until it
// retires.
type connState int32

const (
	joining  connState = iota // may be in its session already, but carries nothing yet
	primary                   // takes new relays, and may request leases
	replaced                  // running relays end or move; leases stay until the successor requests them
	retiring                  // no new relays, and no leases
	closed                    // has ended
)

// become moves c on to the next state; it never goes back. The caller that replaces or retires c must hold
// session.leases, or a connection that may have none could get a lease.
func (c *nodeConn) become(next connState) {
	for {
		now := c.reached.Load()
		if now >= int32(next) || c.reached.CompareAndSwap(now, int32(next)) {
			return
		}
	}
}

// state returns the state of c.
func (c *nodeConn) state() connState {
	last := c.last()
	if last != joining && c.QUIC.Context().Err() != nil {
		return closed
	}
	return last
}

// last returns the state of c, or the one it had when it ended.
func (c *nodeConn) last() connState { return connState(c.reached.Load()) }
