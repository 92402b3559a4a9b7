package canary

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"apquic/lease"
	"apquic/quicproxy/internal/histogram"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/live"
)

const (
	// Least and Most are the bounds of how often a service is asked.
	Least, Most = 10 * time.Second, 24 * time.Hour

	// patience is how long a node may take to answer.
	patience = 15 * time.Second
	// look is how often it is seen who is due, perLook how many are asked then, and atOnce how many are in all. Of one
	// owner only one is: so it takes as many silent nodes to keep the others waiting.
	look            = time.Second
	perLook, atOnce = 100, 512
	// failures in a row are told. Each is followed by another try, after retry and then twice as long each time, up to
	// how often the service is asked otherwise.
	failures = 2
	retry    = Least
)

// Service is one that wants to be asked.
type Service interface {
	// Next returns how to ask where a new visitor would go, nil if nobody can be asked at the moment; and how often to,
	// 0 to stop asking. The error of ask is ErrGone, or says why a visitor would not be served.
	Next() (ask func(context.Context) error, every time.Duration)
}

// Canaries are those of all services.
type Canaries struct {
	took histogram.Durations
	log  *slog.Logger
	wake chan struct{} // has room for one: there is a service

	mu       sync.Mutex
	services map[Service]*canary
	busy     map[lease.Key]bool // owners that are asked
}

// canary is that of one service. Its fields belong to Canaries.mu, but key, which does not change.
type canary struct {
	key    lease.Key
	due    time.Time
	failed int // in a row
	live.Canary
}

// New returns Canaries of no service. log is told of those that fail, and that no longer do.
func New(log *slog.Logger) *Canaries {
	return &Canaries{log: log, wake: make(chan struct{}, 1), services: make(map[Service]*canary), busy: make(map[lease.Key]bool)}
}

// Add has a service asked, until that no longer wants it.
func (s *Canaries) Add(service Service, key lease.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.services[service] == nil {
		s.services[service] = &canary{key: key, due: time.Now().Add(rand.N(retry))}
		wait.Signal(s.wake)
	}
}

// Run asks until ctx ends.
func (s *Canaries) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for ctx.Err() == nil {
		if !s.any() {
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
			continue
		}
		for _, d := range s.due(time.Now()) {
			asking.Go(func() { s.ask(ctx, d) })
		}
		wait.Sleep(ctx, look)
	}
}

func (s *Canaries) any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.services) > 0
}

// question is one that is due.
type question struct {
	*canary
	ask func(context.Context) error
}

// due returns the questions to ask now, those first that have been due for longest, and forgets services that want
// none.
func (s *Canaries) due(now time.Time) (all []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for service, c := range s.services {
		ask, every := service.Next()
		if every != c.Every {
			c.change(now, every)
		}
		switch {
		case every == 0:
			delete(s.services, service)
		case ask != nil && !now.Before(c.due):
			all = append(all, question{c, ask})
		}
	}
	slices.SortFunc(all, func(a, b question) int { return a.due.Compare(b.due) })
	all = slices.DeleteFunc(all, func(q question) bool { // in that order
		if s.busy[q.owner()] || len(s.busy) >= atOnce {
			return true
		}
		s.busy[q.owner()] = true
		return false
	})
	if len(all) > perLook {
		for _, q := range all[perLook:] {
			delete(s.busy, q.owner())
		}
		all = all[:perLook]
	}
	return all
}

// change has the service asked so often from now on, also if it was to wait for longer.
func (c *canary) change(now time.Time, every time.Duration) {
	c.Every = every
	if due := now.Add(c.pause()); due.Before(c.due) {
		c.due = due
	}
}

// pause is how long it is until the next question. It varies, so that they spread.
func (c *canary) pause() time.Duration {
	pause := c.Every - c.Every/10 + rand.N(max(c.Every/5, 1))
	if c.failed > 0 {
		pause = min(pause, retry<<min(c.failed-1, 16))
	}
	return pause
}

// owner is whose the service is: a node's, or a group.
func (c *canary) owner() lease.Key {
	if c.key.IsGroup() {
		return c.key
	}
	return lease.Key{Node: c.key.Node}
}

// ask asks once.
func (s *Canaries) ask(ctx context.Context, q question) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := time.Now()
	err := q.ask(limited)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, q.owner())
	switch {
	case ctx.Err() != nil:
		return // the server stops
	case errors.Is(err, ErrGone):
		q.due = now.Add(retry) // that says nothing of the service
		return
	}
	if err == nil {
		s.took.Add(now.Sub(begun))
	}
	s.answeredLocked(q.canary, now, err)
}

// answeredLocked notes how a question ended.
func (s *Canaries) answeredLocked(c *canary, now time.Time, err error) {
	service := []any{"node", c.key.Node, "service", c.key.Service}
	if c.key.IsGroup() {
		service = []any{"group", c.key.Service}
	}
	if err == nil {
		if c.failed >= failures {
			s.log.Info("the service answers its canary again", append(service, "after", now.Sub(c.Since).Round(time.Second))...)
		}
		c.failed, c.Last, c.Failing, c.Since = 0, now, "", time.Time{}
		c.Proofs++
		c.due = now.Add(c.pause())
		return
	}
	c.failed++
	c.Failures++
	c.Failing = err.Error()
	if c.failed == 1 {
		c.Since = now
	}
	if c.failed == failures {
		s.log.Warn("the service does not answer its canary", append(service, "err", err, "since", cmp.Or(c.Last, c.Since).UTC().Format(time.RFC3339))...)
	}
	c.due = now.Add(c.pause())
}

// Status returns what is known of each service that is asked.
func (s *Canaries) Status() map[lease.Key]live.Canary {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[lease.Key]live.Canary, len(s.services))
	for _, c := range s.services {
		all[c.key] = c.Canary
	}
	return all
}

// Took is how long the services took to answer that did.
func (s *Canaries) Took() live.Histogram { return s.took.Now() }
