// Package bytestream is a relay between a server and a node as one stream of bytes, whatever happens to the QUIC
// streams below it.
//
// A Stream is a reliable byte stream in both directions, each of which ends on its own. It is plain, one
// QUIC stream and no more, or resumable: its association, which is what two processes share beyond one
// connection, gives it another stream over any connection when the one that it has cannot go on. Both ends
// keep what they sent until the other one acks it, so that nothing is lost and nothing comes twice.
// docs/protocol.md section 6 says what travels.
//
// Each of the two directions of a resumable stream has one state at either end (direction.go):
//
//	            lost              lost
//	          ┌──────┐    ┌─────────────────┐
//	          │      ▼    ▼                 │
//	(begin)───┼──► resuming ──────────► onStream ◄──(begin)
//	          │      │  resumed: the peer      │
//	          │      │  said how much it has   │
//	          │      ▼  (sender: and has been  ▼
//	          └──► over  sent the rest) ─────► over
//
//	sender is over:    the peer acked everything and the end; it stopped or reset; this side gave up
//	receiver is over:  the end came; or a reset, and all bytes before it; this side reads no more
//
// While loss limits the connection, a direction may be striped instead of onStream (stripe.go): what
// follows goes over stripes, one QUIC stream on each connection. It leaves that state as it would leave
// onStream.
//
// A stream is forgotten when both directions are over. Which side opens streams (the server) does not
// matter to the states, only to who acts on a loss: that side opens the next attempt, the other one asks
// for it.
//
// Locks: the mutex of a stream guards the states of both directions and all that belongs to them. It is
// never held together with Association.mu, and comes before that of a Set. Nothing that may wait for the
// peer is called with a lock.
//
// It must not know what the bytes are for, nor sessions, leases and dials.
package bytestream
