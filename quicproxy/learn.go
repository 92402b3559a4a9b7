package quicproxy

import (
	"context"
	"errors"
	"time"

	"apquic/framing"
)

// attempt is an idle time to try in a network, after a wait.
type attempt struct {
	network string
	idle    time.Duration
	wait    time.Duration
	steady  context.Context // ends when the try shows nothing any more
}

// next is what to try; a wait of a week stands for nothing.
func (p *pace) next() attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := attempt{network: p.network, wait: provenFor, steady: p.steady}
	if !p.settled || p.look || p.most <= p.least {
		return a
	}
	network := p.networks.get(p.network)
	want := enough(p.most)
	found := time.Since(network.Found)
	if found < 0 { // a clock is or was wrong
		found = provenFor + 1
	}
	stale := found > provenFor
	due := calm - time.Since(p.since)
	idle, more := network.nextIdle(want)
	switch {
	case network.Losses > 0 && network.Proven == 0 && network.Failed == 0:
		due = max(due, lossPause(network.Losses)-found)
	case network.Proven > 0 && stale:
		idle = min(network.Proven, want)
	case !more && stale:
		idle = idleSteps[0]
	case !more:
		due = max(due, provenFor-found)
	}
	a.idle, a.wait = idle, max(due, 0)
	return a
}

func lossPause(losses int) time.Duration {
	return min(firstLossPause<<min(losses-1, 10), maxLossPause)
}

// result takes the outcome of a try.
func (p *pace) result(a attempt, kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.networks.get(a.network)
	after := before.tried(a.idle, kept, time.Now())
	if kept && time.Since(before.Found) > provenFor && !before.Found.IsZero() {
		after.Failed, after.Losses = 0, 0 // the search goes on upwards: the NAT may be another one
	}
	p.networks.put(after)
	p.log.Debug("tried how long this network keeps an idle mapping", "network", a.network, "idle", a.idle, "kept", kept)
	if _, more := after.nextIdle(enough(p.most)); !more && a.network == p.network {
		p.log.Info("learned how often this network needs a keepalive", "network", a.network, "proven", after.Proven, "every", p.intervalLocked())
	}
}

// failed is told that a try showed nothing.
func (p *pace) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Now()
}

// learn finds out how long the networks that the link comes through keep a mapping, until ctx ends.
func (l *link) learn(ctx context.Context) {
	for ctx.Err() == nil {
		next := l.pace.next()
		if !l.inUse() {
			next.wait = calm
		}
		if next.wait > 0 {
			l.pace.rest(ctx, next.wait)
			continue
		}
		before := l.pace.interval()
		kept, err := l.try(ctx, next)
		switch {
		case isUnknownOpcode(err):
			l.node.log.Debug("the server does not help to find out how rare keepalives may be")
			return
		case err != nil:
			l.node.log.Debug("how long this network keeps an idle mapping could not be tried", "idle", next.idle, "err", err)
			l.pace.failed()
			continue
		}
		l.pace.result(next, kept)
		if l.pace.interval() < before {
			signal(l.path.woken) // the timer that runs is too long
		}
	}
}

// rest waits, at most until there may be something else to try.
func (p *pace) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.stirred:
	case <-ctx.Done():
	}
}

// try makes one attempt. Of all links of a node one does at a time.
func (l *link) try(ctx context.Context, a attempt) (kept bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.steady, cancel)()
	select {
	case l.node.trying <- struct{}{}:
		defer func() { <-l.node.trying }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return l.keeps(ctx, a.idle)
}

// inUse reports whether l is the connection that counts at the server.
func (l *link) inUse() bool {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	return l.node.link == l
}

func isUnknownOpcode(err error) bool {
	failure, ok := errors.AsType[*FailureError](err)
	return ok && failure.Code == framing.ErrorUnknownOpcode
}
