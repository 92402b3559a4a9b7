package node

import (
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
)

// restartPause is the most that a node waits to connect anew to a server that restarts: its nodes come spread out.
const restartPause = 250 * time.Millisecond

// retryAfter is how long to wait before what failed with err is tried again, a little more than the other side says:
// nodes that were refused together come spread out. 0: it says nothing.
func retryAfter(err error) time.Duration {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	if !ok || failure.RetryAfter <= 0 {
		return 0
	}
	return failure.RetryAfter + rand.N(failure.RetryAfter/4+1)
}

// schedule says when a node asks its server again for what was refused. It is used by one goroutine.
type schedule struct {
	backoff backoff
	pause   time.Duration        // of this round, where the server does not say
	next    map[string]time.Time // by service
	held    time.Time            // before it nothing is asked: the server has too many requests of this node
}

// begin is called before each round of requests, with the services that there are.
func (s *schedule) begin(services []*exposed, registered map[string]*exposed) {
	s.pause = minBackoff + s.backoff.next()
	maps.DeleteFunc(s.next, func(name string, _ time.Time) bool {
		return registered[name] == nil && !slices.ContainsFunc(services, func(e *exposed) bool { return e.name == name })
	})
}

func (s *schedule) due(service string) bool {
	now := time.Now()
	return !now.Before(s.next[service]) && !now.Before(s.held)
}

// answered notes what became of a request; nil: it was fulfilled.
func (s *schedule) answered(service string, err error) {
	if err == nil {
		delete(s.next, service)
		return
	}
	at := time.Now().Add(max(minBackoff, cmp.Or(retryAfter(err), s.pause)))
	s.next[service] = at
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok && failure.Code == framing.ErrorBusy {
		s.held = at
	}
}

// again fires when the next request is due; nil: there is none.
func (s *schedule) again() <-chan time.Time {
	if len(s.next) == 0 {
		s.backoff.reset()
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
