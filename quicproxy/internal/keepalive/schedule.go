package keepalive

import (
	"context"
	"sync"
	"time"
)

const (
	// A keepalive must be sent, and be answered after some tries, before the idle timeout: two fifths of it
	// leave room for that, and for the transport's own keepalive after half of it.
	idleShare, idleShares = 2, 5
	// minIdleTimeout is the shortest idle timeout that a server can have.
	minIdleTimeout = 5 * time.Second
)

// state is what a Schedule knows about its connection's path.
//
//	            the same path again              late, or uncertain
//	          ┌────────────────────▶           ────────────────────▶
//	unsettled                        settled                          looking
//	          ◀────────────────────           ◀────────────────────
//	       another path, or no answer               the same path
//
// looking becomes unsettled for the same reasons as settled. What was learned is used only while settled.
type state int

const (
	unsettled state = iota // unknown, or it has just changed
	looking                // known, but it may have changed: the next answer tells, and must come soon
	settled                // known
)

// Schedule says how often one connection sends keepalives, and what to try while it lives.
type Schedule struct {
	fixed       time.Duration // 0: the interval is learned
	least, most time.Duration // of the interval; most is 0 if nothing may be learned
	learner     *Learner
	changed     chan struct{} // has room for one: the result of Begin has changed

	mu      sync.Mutex // taken before the Learner's
	path    Path
	state   state
	since   time.Time       // when state changed, or a try proved nothing
	steady  context.Context // ends when state becomes unsettled: the current try proves nothing
	disturb context.CancelFunc
}

// Fixed is the Schedule of a connection that learns nothing.
func Fixed(interval time.Duration) *Schedule { return &Schedule{fixed: interval} }

// Schedule returns that of a connection that begins now on a path. own and peer are the idle timeouts of both
// ends, the shorter of which counts; peer is 0 if the server does not say, and then the interval stays at its
// default.
func (l *Learner) Schedule(now time.Time, path Path, own, peer time.Duration) *Schedule {
	s := &Schedule{learner: l, changed: make(chan struct{}, 1), path: path, since: now}
	s.steady, s.disturb = context.WithCancel(context.Background())
	s.least = min(Default, own*idleShare/idleShares)
	if peer < minIdleTimeout {
		return s
	}
	longest := min(own, peer) * idleShare / idleShares
	s.least, s.most = min(s.least, longest), min(longest, maxInterval)
	if path.network != "" {
		s.state = settled
	}
	return s
}

// Learns reports whether answers and tries change anything.
func (s *Schedule) Learns() bool { return s.fixed == 0 }

// Changed receives when Begin should be called again.
func (s *Schedule) Changed() <-chan struct{} { return s.changed }

// Interval is the time to the next keepalive.
func (s *Schedule) Interval() time.Duration {
	if !s.Learns() {
		return s.fixed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.intervalLocked()
}

func (s *Schedule) intervalLocked() time.Duration {
	if s.state != settled {
		return s.least
	}
	return s.learnedLocked()
}

// learnedLocked is the interval for the network of the path.
func (s *Schedule) learnedLocked() time.Duration {
	return s.learner.get(s.path.network).interval(s.least, s.most)
}

// Answered is called when a keepalive was answered, with the path according to the answer, and how many bytes came since it
// was sent. The path is uncertain if the server may have been about to learn that the node has moved.
func (s *Schedule) Answered(now time.Time, path Path, received uint64) {
	uncertain := received >= challengeSize
	if s.Learns() {
		s.answered(now, path, uncertain)
		s.learner.save()
	}
}

func (s *Schedule) answered(now time.Time, path Path, uncertain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, network := s.path, path.network
	s.path = path
	switch {
	case path == before && network != "" && uncertain && s.state != looking:
		s.becomeLocked(now, looking)
	case path == before && network != "":
		s.becomeLocked(now, settled)
	default:
		// A new port for the same socket in the same network: the NAT lost its mapping.
		inPlace := path.sockets == before.sockets && network == before.network
		if inPlace && s.state != unsettled && s.learnedLocked() > s.least {
			s.learner.lost(now, network)
		}
		s.becomeLocked(now, unsettled)
	}
}

// Late is called when something came, but the answer to a keepalive did not come in time.
func (s *Schedule) Late(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == settled {
		s.becomeLocked(now, looking)
	}
}

// Unanswered is called when nothing came after a keepalive: the mapping may be lost.
func (s *Schedule) Unanswered(now time.Time) {
	if !s.Learns() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.learnedLocked() > s.least {
		s.learner.distrust(s.path.network)
	}
	s.becomeLocked(now, unsettled)
}

func (s *Schedule) becomeLocked(now time.Time, next state) {
	if s.state == next {
		return
	}
	s.state, s.since = next, now
	if next == unsettled {
		s.disturb()
		s.steady, s.disturb = context.WithCancel(context.Background())
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
