package retry

import (
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/time/rate"

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

	requests *rate.Limiter   // that the server takes
	queue    []string        // services that wait for it to take one more
	wants    map[string]bool // those that asked in this round
}

// Requests of a server that does not say how many it takes.
const defaultBurst, defaultPerMinute = 32, 60

// NewSchedule returns a Schedule in which nothing was refused, for a server that takes so many requests at once, and
// per minute. 0: it does not say.
func NewSchedule(burst, perMinute uint32) *Schedule {
	every := time.Minute / time.Duration(cmp.Or(perMinute, defaultPerMinute))
	return &Schedule{
		next: make(map[string]time.Time), wants: make(map[string]bool),
		requests: rate.NewLimiter(rate.Every(every), int(min(cmp.Or(burst, defaultBurst), 1<<20))),
	}
}

// Begin is called before each round of requests; it forgets the services that no longer exist.
func (s *Schedule) Begin(exists func(service string) bool) {
	s.pause = MinBackoff + s.backoff.Next()
	maps.DeleteFunc(s.next, func(name string, _ time.Time) bool { return !exists(name) })
	s.queue = slices.DeleteFunc(s.queue, func(name string) bool { return !s.wants[name] || !exists(name) })
	clear(s.wants)
}

// Changed says that something else is to be requested for a service than what was refused.
func (s *Schedule) Changed(service string) { delete(s.next, service) }

// Due reports whether the lease of a service may be requested now. Then it is: that counts as one of the requests
// that the server takes. If there are too many, each service gets its turn.
func (s *Schedule) Due(service string) bool {
	now := time.Now()
	s.wants[service] = true
	if now.Before(s.next[service]) || now.Before(s.held) {
		s.leave(service)
		return false
	}
	if len(s.queue) == 0 || s.queue[0] == service {
		if s.requests.AllowN(now, 1) {
			s.leave(service)
			return true
		}
	}
	if !slices.Contains(s.queue, service) {
		s.queue = append(s.queue, service)
	}
	return false
}

// leave takes a service out of the queue.
func (s *Schedule) leave(service string) {
	s.queue = slices.DeleteFunc(s.queue, func(name string) bool { return name == service })
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

// Again ends a round, and fires when the next request is due of those that were not in it; nil: there is none.
func (s *Schedule) Again() <-chan time.Time {
	maps.DeleteFunc(s.next, func(name string, _ time.Time) bool { return !s.wants[name] }) // it wants nothing any longer
	var first time.Time
	switch {
	case len(s.queue) > 0:
		missing := (1 - s.requests.Tokens()) / float64(s.requests.Limit())
		first = time.Now().Add(max(time.Duration(missing*float64(time.Second)), time.Millisecond))
	case len(s.next) == 0:
		s.backoff.Reset()
		return nil
	}
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
