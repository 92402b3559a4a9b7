package relay

import (
	"context"
	"fmt"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/wait"
)

const (
	// A direction that has sent bulk bytes within bulkTime is worth being striped.
	bulk, bulkTime = 64 << 10, 10 * time.Second
	// stripesIdle is how long stripes stay open with nothing to send.
	stripesIdle = 5 * time.Second
	// stripesFail is how long a striped direction goes on in which nothing arrives. It resumes over one stream then, and is not
	// striped again for unstriped.
	stripesFail, unstriped = 10 * time.Second, 30 * time.Second
)

// While loss limits the connection that a relay is on, one direction of it is striped: what follows goes as records over
// stripes, unidirectional streams of which each connection of the association carries one for each relay. The stream
// ends behind what it was given, with a reset of a code of its own, and is not used again before the relay is reopened;
// then it is one stream again, until loss says otherwise.
//
// The sender never sends more than stripeWindow behind what the peer has taken, so the receiver takes each record as it
// comes, and no stripe waits for another one. What is slow is seen by what has arrived without a gap, not by what was taken:
// a slow reader is never taken for a slow connection.
type striping struct {
	*schedule[*stripe]
	attempt uint64
	ahead   ahead
	open    map[*Carrier]*stripe
	rests   map[*Carrier]rest
	overdue int           // how many stripes were lost since anything arrived
	moved   time.Time     // when something arrived last, or nothing had to
	running bool          // runStripes does
	wake    chan struct{} // has room for one: something is different
}

// stripe is one stream of a striped direction. It and what follows are guarded by the mutex of the relay.
type stripe struct {
	carrier *Carrier
	cancel  context.CancelFunc // of its opening
	stream  SendStream         // nil: it is being opened
	ended   bool               // it takes nothing more
}

// rest says when a connection on which a stripe was lost may get another one.
type rest struct {
	until time.Time
	times int
}

// load is what a direction has sent lately.
type load struct {
	since time.Time
	from  uint64
	not   time.Time // before that it is not to be striped
}

// Lossy has relays that send much over c striped, or not any longer: loss limits it. It is to be called again while
// that lasts. Where there is no other connection, it changes nothing.
func (a *Association) Lossy(c *Carrier, lossy bool) {
	if a == nil {
		return
	}
	good, _ := a.good()
	c.lossy.Store(lossy && len(good) > 1)
}

// good returns the connections that may have stripes, and a channel that is closed when they are others.
func (a *Association) good() (good []*Carrier, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.carriers {
		if c.isGoodLocked() {
			good = append(good, c)
		}
	}
	return good, a.changed
}

// stripeLocked begins to stripe what is written from now on, if that is of use and the peer knows the relay. Only who
// writes may call it: nothing is being written to the stream.
func (s *resumable) stripeLocked() {
	now := time.Now()
	if now.Sub(s.load.since) > bulkTime {
		s.load.since, s.load.from = now, s.out.kept.end
	}
	worth := s.out.kept.end-s.load.from >= bulk && now.After(s.load.not)
	if s.out.state != onStream || s.stream == nil || !worth || !s.carrier.lossy.Load() || !s.known && s.header != nil {
		return
	}
	s.striping = &striping{
		schedule: newSchedule[*stripe](s.out.kept.end), attempt: s.attempt, ahead: newAhead(now), moved: now,
		open: make(map[*Carrier]*stripe), rests: make(map[*Carrier]rest), wake: make(chan struct{}, 1),
	}
	s.out.stripe()
	end(s.stream, framing.ErrorRelayStriped)
}

// tidyStripesLocked is called when anything is different.
func (s *resumable) tidyStripesLocked() {
	if p := s.striping; p != nil {
		wait.Signal(p.wake)
		switch {
		case s.out.state != striped:
			for _, t := range p.open {
				t.cancelLocked()
			}
			s.striping = nil
		case !p.running && !s.finished && p.waiting(s.totalLocked(p)) > 0:
			p.running, p.moved = true, time.Now()
			s.working.Go(func() { s.runStripes(p) })
		}
	}
	if s.in.state == over || s.stream == nil {
		s.dropStripesLocked()
	}
}

// maxKeptLocked is how many bytes may be kept; then writes wait.
func (s *resumable) maxKeptLocked() int {
	if s.striping != nil {
		return s.striping.ahead.limit
	}
	return maxKept
}

// totalLocked is how much may be given to stripes now. The end counts as one; a reset is not sent by stripes.
func (s *resumable) totalLocked(p *striping) uint64 {
	total := s.out.kept.end
	if s.out.ended && s.out.code == framing.NoError {
		total++
	}
	return max(min(total, s.out.kept.begin+stripeWindow), p.next)
}

// arrivedAtPeerLocked is told what the peer has without a gap, also where it has not taken it yet, and how much was acked
// before.
func (s *resumable) arrivedAtPeerLocked(message *framing.RelayProgress, before uint64) error {
	p := s.striping
	if p == nil || s.out.state != striped {
		return nil
	}
	if message.Arrived > s.out.total() {
		return fmt.Errorf("%d bytes of %d arrived", message.Arrived, s.out.total())
	}
	now := time.Now()
	if p.arrive(max(message.Arrived, message.Received)) {
		p.overdue, p.moved = 0, now
	}
	if acked := s.out.kept.begin - before; acked > 0 && s.carrier != nil {
		p.ahead.ack(int(acked), s.carrier.RTT(), now)
	}
	return nil
}
