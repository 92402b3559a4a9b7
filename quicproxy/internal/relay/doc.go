// Package relay carries public connections over QUIC streams, and goes on over another stream when one is lost.
//
// A Stream is a reliable byte stream in both directions, each of which ends on its own. It is plain, one QUIC stream and
// no more; or it resumes: its Association, which is what two processes have in common beyond one connection, gives it
// another stream over any connection (Carrier) when the one that it has cannot go on. Both ends keep what they sent until
// the other one acks it, so that nothing is lost and nothing comes twice. docs/protocol.md section 6 has what travels.
//
// Each of the two directions of a stream that resumes has one state at either end:
//
//	            lost              lost
//	          ┌──────┐    ┌─────────────────┐
//	          │      ▼    ▼                 │
//	(begin)───┼──► resuming ──────────► onStream ◄──(begin)
//	          │      │  resumed: the peer      │
//	          │      │  told how much it has   │
//	          │      ▼  (sender: and has been  ▼
//	          └──► over  sent the rest) ─────► over
//
//	sender is over:    the peer acked all and the end; or stopped, or reset; or this side gave up
//	receiver is over:  the end came; or the reset of the peer, and all bytes before it; or this side takes no more
//
// While loss limits the connection, a direction that is on the stream may be striped (stripe.go): what follows goes over
// stripes, many QUIC streams of which each connection carries one. A loss of the stream makes it resuming, as from
// onStream; everything else is as there.
//
// A stream is forgotten when both directions are over. Which side opens streams (the server) does not matter to the
// states, only to who acts on a loss: the opener opens the next attempt, the other side asks for it.
//
// Locks: Association.mu and the mutex of a stream are never held together. A stream's mutex comes before that of a Set.
// Nothing writes to a connection with a lock.
//
// The package knows QUIC only as the interfaces Conn and QUICStream, and nothing of sessions, leases and dials.
package relay
