package relay

// Striping will spread one direction of a relay over the lanes of its association while loss limits the connection that it
// is on. It gets a file and a state of its own, here; what the rest has for it:
//
//   - sender: sending.kept has all that the peer did not ack. kept.from(offset) gives the next piece, pinned, to be written
//     without the lock; kept.unpin gives it back. sending.acked forgets. A fourth state `striped` beside onStream means
//     that write only keeps, and wakes the lanes (changed), of which each writes records (offset, length, bytes; the end is
//     a record, too) to one long-lived unidirectional stream of its own. lost() leaves striped for resuming as it leaves
//     onStream: a reopened stream is one stream again, until loss says otherwise.
//   - where the stream ends: the sender gives the stream a reliable reset with a code of its own (end), behind all that the
//     stream was given; the receiver has read all of that when it sees the code (readFailed), and goes on with records.
//   - receiver: readableLocked and took are the only ways to bytes. In `striped`, Read takes what continues
//     receiving.position from the lanes; advance and eof count as they do for the stream. A lane is read only as far as
//     position + window, so that the QUIC window of the lane bounds what waits; count is told of it.
//   - lanes: Association.carriers and changed; isGoodLocked. Conn gets OpenUniStream, Association an AcceptLane beside Accept.
//   - RelayProgress.arrived is there: what came without a gap. progress sets it, handle gets it: a lane is stuck when what it
//     has was not in arrived for some round trips; it is reset and its range goes over another one.
