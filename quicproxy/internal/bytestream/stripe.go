package bytestream

import (
	"context"
	"fmt"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/stripes"
	"apquic/quicproxy/internal/wait"
)

const (
	// A direction that has sent bulk bytes within bulkTime is worth being striped.
	bulk, bulkTime = 64 << 10, 10 * time.Second
	// stripeIdleTimeout is how long a stripe stays open with nothing to send.
	stripeIdleTimeout = 5 * time.Second
	// A striped direction in which nothing arrives for stripingTimeout resumes over one stream, and is not
	// striped again for restripeAfter.
	stripingTimeout, restripeAfter = 10 * time.Second, 30 * time.Second
)

// striping is a direction that is striped because loss limits its connection: what follows goes as records
// over stripes, unidirectional streams, one on each connection of the association. The stream ends behind
// what it was given, with a reset of a code of its own. When the relay is reopened it is one stream again,
// until loss says otherwise.
//
// The sender never sends more than stripes.MaxWindow ahead of the reader, so the receiver takes every record at
// once, and no stripe waits for another. A slow connection is known by what has arrived without a gap, not by
// what was read: a slow reader is never taken for a slow connection.
type striping struct {
	*stripes.Schedule[*stripe]
	attempt     uint64
	window      stripes.Window
	open        map[*association.Carrier]*stripe
	backoffs    map[*association.Carrier]backoff
	timeouts    int           // stripes lost since something arrived
	lastArrival time.Time     // when something last arrived, or nothing was in flight
	running     bool          // superviseStripes does
	wake        chan struct{} // has room for one: something changed
}

// stripe is one stream of a striped direction. The mutex of the relay guards it and what follows.
type stripe struct {
	carrier *association.Carrier
	cancel  context.CancelFunc    // ends the wait for the stream
	stream  quicstream.SendStream // nil: it is being opened
	ended   bool                  // it gets nothing more
}

// backoff says when a connection on which a stripe was lost may get another one.
type backoff struct {
	until    time.Time
	failures int
}

// load is how much a direction has sent lately.
type load struct {
	since     time.Time
	from      uint64
	notBefore time.Time // not to be striped before
}

// stripeLocked stripes what is written from now on, if that helps and the peer is known to have the relay.
// Only the writer may call it: nothing is being written to the stream.
func (s *resumable) stripeLocked() {
	now := time.Now()
	if now.Sub(s.load.since) > bulkTime {
		s.load.since, s.load.from = now, s.out.unacked.End()
	}
	worth := s.out.unacked.End()-s.load.from >= bulk && now.After(s.load.notBefore)
	if s.out.state != onStream || s.stream == nil || !worth || !s.carrier.Lossy() || !s.confirmed && s.header != nil {
		return
	}
	s.striping = &striping{
		Schedule: stripes.NewSchedule[*stripe](s.out.unacked.End()), attempt: s.attempt, window: stripes.NewWindow(now), lastArrival: now,
		open: make(map[*association.Carrier]*stripe), backoffs: make(map[*association.Carrier]backoff), wake: make(chan struct{}, 1),
	}
	s.out.stripe()
	quicstream.End(s.stream, framing.ErrorRelayStriped)
}

// updateStripesLocked is called after every change.
func (s *resumable) updateStripesLocked() {
	if p := s.striping; p != nil {
		wait.Signal(p.wake)
		switch {
		case s.out.state != striped:
			for _, t := range p.open {
				t.cancelLocked()
			}
			s.striping = nil
		case !p.running && !s.finished && p.Waiting(s.sendableLocked(p)) > 0:
			p.running, p.lastArrival = true, time.Now()
			s.working.Go(func() { s.superviseStripes(p) })
		}
	}
	if s.in.state == over || s.stream == nil {
		s.dropStripesLocked()
	}
}

// maxUnackedLocked is how many bytes may be unacked before writes wait.
func (s *resumable) maxUnackedLocked() int {
	if s.striping != nil {
		return s.striping.window.Limit()
	}
	return maxUnacked
}

// sendableLocked returns up to which offset stripes may send. The end counts as one byte; a reset is not sent
// by stripes.
func (s *resumable) sendableLocked(p *striping) uint64 {
	total := s.out.unacked.End()
	if s.out.ended && s.out.code == framing.NoError {
		total++
	}
	return max(min(total, s.out.unacked.Begin()+stripes.MaxWindow), p.Next())
}

// checkArrivedLocked returns an error if the peer says that it has more than there is.
func (s *resumable) checkArrivedLocked(message *framing.RelayProgress) error {
	if s.striping != nil && s.out.state == striped && message.Arrived > s.out.total() {
		return fmt.Errorf("%d bytes of %d arrived", message.Arrived, s.out.total())
	}
	return nil
}

// arrivedAtPeerLocked notes what the peer has without a gap, read or not. before is what was acked until now.
func (s *resumable) arrivedAtPeerLocked(message *framing.RelayProgress, before uint64) {
	p := s.striping
	if p == nil || s.out.state != striped {
		return
	}
	now := time.Now()
	if p.Arrive(max(message.Arrived, message.Received)) {
		p.timeouts, p.lastArrival = 0, now
	}
	if acked := s.out.unacked.Begin() - before; acked > 0 && s.carrier != nil {
		p.window.Ack(int(acked), s.carrier.RTT(), now)
	}
}
