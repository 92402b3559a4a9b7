package keepalive

import (
	"context"
	"time"
)

// calm is how long a connection and its path last before anything is tried.
const calm = time.Minute

// Try asks whether the NAT still has a mapping on which nothing was sent for so long.
type Try struct {
	Idle time.Duration
	// Valid ends when the outcome shows nothing, since the path has changed.
	Valid context.Context

	network string
}

// Begin begins the next try if one is due, which must end with exactly one call of Result or Abandon. Else it returns how long
// to wait before it is called again: so long, or until Changed.
func (s *Schedule) Begin(now time.Time) (try Try, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle, wait := s.planLocked(now)
	if wait == 0 && !s.learner.beginTry() {
		wait = calm
	}
	return Try{Idle: idle, Valid: s.steady, network: s.path.network}, wait
}

// planLocked is what to try next, and how long to wait before.
func (s *Schedule) planLocked(now time.Time) (idle, wait time.Duration) {
	if s.state != settled || s.most <= s.least {
		return 0, provenFor // Changed comes before that, or nothing does
	}
	idle, wait = s.learner.get(s.path.network).plan(now, s.most)
	return idle, max(wait, calm-now.Sub(s.since))
}

// Done reports whether the interval in use is the one that was learned, and nothing more is tried for at least a day.
func (s *Schedule) Done(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, wait := s.planLocked(now)
	return s.state == settled && wait > 24*time.Hour
}

// Result ends a try that showed something.
func (s *Schedule) Result(now time.Time, try Try, kept bool) {
	after := s.learner.update(try.network, func(b NATBinding) NATBinding { return b.tried(now, try.Idle, kept) })
	s.learner.endTry()
	s.learner.save()
	log := s.learner.log.With("network", try.network)
	log.Debug("tried how long this network keeps an idle mapping", "idle", try.Idle, "kept", kept)
	if _, more := after.nextIdle(enough(s.most)); !more {
		log.Info("learned how often this network needs a keepalive", "proven", after.Proven, "every", after.interval(s.least, s.most))
	}
}

// Abandon ends a try that showed nothing.
func (s *Schedule) Abandon(now time.Time, _ Try) {
	s.learner.endTry()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}
