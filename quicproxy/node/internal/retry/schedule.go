package retry

import (
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
)

// After is how long to wait before what failed with err is tried again, a little more than the other side says:
// nodes that were refused together come spread out. 0: it says nothing.
func After(err error) time.Duration {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	if !ok || failure.RetryAfter <= 0 {
		return 0
	}
	return failure.RetryAfter + rand.N(failure.RetryAfter/4+1)
}

// Schedule says when a node asks its server again for what was refused. It is used by one goroutine.
type Schedule struct {
	backoff Backoff
	pause   time.Duration        // of this round, where the server does not say
	next    map[string]time.Time // by service
	held    time.Time            // before it nothing is asked: the server has too many requests of this node
}

// NewSchedule returns a schedule without anything that was refused.
func NewSchedule() *Schedule { return &Schedule{next: make(map[string]time.Time)} }

// Begin is called before each round of requests; it forgets the services that there are no longer.
func (s *Schedule) Begin(exists func(service string) bool) {
	s.pause = MinBackoff + s.backoff.Next()
	maps.DeleteFunc(s.next, func(name string, _ time.Time) bool { return !exists(name) })
}

func (s *Schedule) Due(service string) bool {
	now := time.Now()
	return !now.Before(s.next[service]) && !now.Before(s.held)
}

// Answered notes what became of a request; nil: it was fulfilled.
func (s *Schedule) Answered(service string, err error) {
	if err == nil {
		delete(s.next, service)
		return
	}
	at := time.Now().Add(max(MinBackoff, cmp.Or(After(err), s.pause)))
	s.next[service] = at
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok && failure.Code == framing.ErrorBusy {
		s.held = at
	}
}

// Again fires when the next request is due; nil: there is none.
func (s *Schedule) Again() <-chan time.Time {
	if len(s.next) == 0 {
		s.backoff.Reset()
		return nil
	}
	var first time.Time
	for _, at := range s.next {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if s.held.After(first) {
		first = s.held
	}
	return time.After(time.Until(first))
}
