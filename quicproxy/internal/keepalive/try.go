package keepalive

import (
	"context"
	"time"
)

// calm is how long a connection and its path must last before anything is tried.
const calm = time.Minute

// Try asks whether the NAT still has a mapping on which nothing was sent for Idle.
type Try struct {
	Idle time.Duration
	// Valid ends when the path has changed and the outcome proves nothing.
	Valid context.Context

	network string
}

// Begin starts the next try if one is due, which must end with exactly one call of Result or Abandon.
// Otherwise wait is how long to wait before the next call, unless Changed receives first.
func (s *Schedule) Begin(now time.Time) (try Try, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle, wait := s.planLocked(now)
	if wait == 0 && !s.learner.beginTry() {
		wait = calm
	}
	return Try{Idle: idle, Valid: s.steady, network: s.path.network}, wait
}

// planLocked is what to try next, and how long to wait first.
func (s *Schedule) planLocked(now time.Time) (idle, wait time.Duration) {
	if s.state != settled || s.most <= s.least {
		return 0, provenFor // nothing is due before Changed receives
	}
	idle, wait = s.learner.get(s.path.network).plan(now, s.most)
	return idle, max(wait, calm-now.Sub(s.since))
}

// Done reports whether the interval in use was learned, and nothing more will be tried for at least a day.
func (s *Schedule) Done(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, wait := s.planLocked(now)
	return s.state == settled && wait > 24*time.Hour
}

// Result ends a try that proved something.
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

// Abandon ends a try that proved nothing.
func (s *Schedule) Abandon(now time.Time, _ Try) {
	s.learner.endTry()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}
