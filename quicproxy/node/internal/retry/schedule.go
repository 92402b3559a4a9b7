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

// After returns how long to wait before retrying what failed with err, a little more than the other side
// asks, so that nodes that were refused together come spread out. 0: it does not say.
func After(err error) time.Duration {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	if !ok || failure.RetryAfter <= 0 {
		return 0
	}
	return failure.RetryAfter + rand.N(failure.RetryAfter/4+1)
}

// Schedule says when a node asks its server again for what was refused. Only one goroutine may use it.
type Schedule struct {
	backoff Backoff
	pause   time.Duration        // of this round, unless the server says otherwise
	next    map[string]time.Time // by service
	held    time.Time            // before this time nothing is requested: the server got too many requests from this node
}

// NewSchedule returns a Schedule in which nothing was refused.
func NewSchedule() *Schedule { return &Schedule{next: make(map[string]time.Time)} }

// Begin is called before each round of requests; it forgets the services that no longer exist.
func (s *Schedule) Begin(exists func(service string) bool) {
	s.pause = MinBackoff + s.backoff.Next()
	maps.DeleteFunc(s.next, func(name string, _ time.Time) bool { return !exists(name) })
}

// Due reports whether the lease of a service may be requested now.
func (s *Schedule) Due(service string) bool {
	now := time.Now()
	return !now.Before(s.next[service]) && !now.Before(s.held)
}

// Answered notes the outcome of a request; nil: it was fulfilled.
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
