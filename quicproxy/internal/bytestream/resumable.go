package bytestream

import (
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
)

const (
	// ResetLinger is how long a relay that was reset may still take to deliver what was sent before.
	ResetLinger = 10 * time.Second
	// maxUnacked is how many bytes of a direction may be unacked before writes wait.
	maxUnacked = 8 << 20
)

// resumable is a Stream that resumes over another QUIC stream when one is lost. Its state is out and in, one
// for each direction; doc.go has the drawing, direction.go the transitions.
type resumable struct {
	association *association.Association
	number      uint64
	service     string
	header      *framing.StreamHeader // of the opener; nil: the other side opens
	working     sync.WaitGroup        // of the goroutines that reopen it

	mu        sync.Mutex
	changed   sync.Cond // when a state, what is unacked, the stream, or a deadline changes
	out       sending
	in        receiving
	stream    quicstream.Stream    // of the current attempt; nil: none
	carrier   *association.Carrier // of stream
	attempt   uint64               // number of the last attempt
	reopening *reopening           // nil: there was one attempt only

	seen          bool              // the peer may have seen this relay
	confirmed     bool              // it has said something of it
	finished      bool              // Finish returns
	stopped       bool              // CancelRead was called
	sinceAck      int32             // bytes read since the last ack
	resetCode     framing.ErrorCode // with which this side reset the relay,
	final         uint64            // after so many bytes
	packetsBefore uint64            // that came over carrier before the attempt

	lingering *time.Timer // bounds the wait for what the peer sent before it reset the relay; nil: it did not

	lastAck time.Time    // when the peer last acked something, or nothing was unacked
	ackDue  atomic.Int64 // nanoseconds within which an ack will go out; noAck: none will

	takenBack []byte // everything written, if the stream was taken back

	load      load            // what was written lately
	striping  *striping       // while this side's direction is striped
	brought   *brought        // by stripes of the other direction; nil: there were none
	countHeld func(bytes int) // of that; nil: nobody counts

	*deadlines
	ending // has a lock of its own
}

func newResumable(a *association.Association, number uint64) *resumable {
	s := &resumable{association: a, number: number, lastAck: time.Now()}
	s.changed.L = &s.mu
	s.ackDue.Store(int64(noAck))
	return s
}

// changedLocked wakes whoever waits for a change.
func (s *resumable) changedLocked() {
	s.changed.Broadcast()
	s.updateStripesLocked()
	if s.isReopeningLocked() && s.overLocked() {
		s.reopening.cancel()
	}
}

// overLocked reports whether no further attempt is needed.
func (s *resumable) overLocked() bool {
	return s.finished || s.in.state == over && s.out.state == over
}

func (s *resumable) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// Number implements association.Resumable.
func (s *resumable) Number() uint64 { return s.number }

// HasUnacked implements association.Member.
func (s *resumable) HasUnacked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.unacked.Size() > 0
}

// Current implements Stream.
func (s *resumable) Current() (quicstream.Stream, *association.Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream, s.carrier
}

// Resumed implements Stream.
func (s *resumable) Resumed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempt - 1
}

// Count implements Stream.
func (s *resumable) Count(kept func(bytes, counted int), held func(bytes int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.unacked.Count(kept)
	if s.countHeld = held; s.brought != nil {
		s.brought.Count(held)
	}
}
