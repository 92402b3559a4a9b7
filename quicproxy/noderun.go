package quicproxy

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

const (
	minBackoff, maxBackoff = time.Second, time.Minute
	// A connection that lasted so long was no failure: the next attempt after it comes soon.
	lasting = 10 * time.Second
	// For so long after a loss attempts are short and follow each other, so that a server that comes back is
	// found within two seconds. Then they become rarer: somebody may pay for the traffic.
	eager = 2 * time.Minute
	// sayAfter is how long a person looks at a line that says "connecting" before they wonder.
	sayAfter              = 3 * time.Second
	eagerHandshakeTimeout = 3 * time.Second
)

// backoff makes the pauses between attempts: full jitter below a limit that doubles. A thousand nodes that
// lost their server come back spread out.
type backoff struct{ limit time.Duration }

func (b *backoff) next() time.Duration {
	b.limit = min(max(2*b.limit, minBackoff), maxBackoff)
	return rand.N(b.limit)
}

func (b *backoff) reset() { b.limit = 0 }

// slow is the pause when trying soon is of no use, because a person must do something first.
func (b *backoff) slow() time.Duration {
	b.limit = maxBackoff
	return maxBackoff/2 + rand.N(maxBackoff/2)
}

// Run keeps the node connected until ctx ends, then lets running relays finish and returns nil. Whatever
// happens on the way is logged and tried again. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	var links sync.WaitGroup
	if n.config.Keepalive < 0 {
		n.networks.load()
	}
	background, stop := context.WithCancel(context.Background())
	var services sync.WaitGroup
	services.Go(func() { n.config.WatchNetwork(background, n.network.tell) })
	services.Go(func() { n.memory.run(background) })
	services.Go(func() { summarizeLog(background, n.limited) })
	links.Go(func() { n.lanes.run(ctx) })
	defer func() {
		links.Wait()
		n.associate(0)
		n.relaying.Wait()
		stop()
		services.Wait()
	}()
	r := &reconnector{node: n, links: &links, story: story{log: n.log, peer: n.peerName()}}
	n.log.Info("connecting", "server", n.config.Address)
	current := r.connect(ctx, ctx, 0)
	for current != nil {
		err := current.watch(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errInDoubt):
			attempt, cancel := current.whileInDoubt(ctx)
			if next := r.connect(ctx, attempt, 0); next != nil {
				current = next // the other one lives on with its relays, or dies
			} else if current.quic.Context().Err() == nil {
				r.story.connected(current) // it answers again
			}
			cancel()
		default:
			n.use(nil)
			if isReplaced(err) {
				n.setStandby(true)
			}
			lasted := time.Since(current.since) > lasting || isRestart(err)
			if lasted {
				r.retry.reset()
				r.lost = time.Now()
			}
			pause := r.pauseAfter(err)
			if lasted && isShutdown(err) && current.restarts.Load() {
				pause = rand.N(restartPause)
			}
			r.missed(err, pause)
			current = r.connect(ctx, ctx, pause)
		}
	}
	return nil
}

func (n *Node) peerName() string { return "the server at " + n.config.Address }

// reconnector makes the connections of a running node, one after the other.
type reconnector struct {
	node  *Node
	links *sync.WaitGroup
	retry backoff
	lost  time.Time // when the last connection ended that had lasted; zero: there was none
	slow  bool      // the pause is long because a person must do something first
	story story
}

func (r *reconnector) eager() bool {
	if r.lost.IsZero() {
		return false
	}
	return time.Since(r.lost) < eager || r.node.relaysWait()
}

// connect tries until it has a connection, which then runs until running ends, or until attempt ends; it
// then returns nil.
func (r *reconnector) connect(running, attempt context.Context, pause time.Duration) *link {
	for r.sleep(attempt, pause); attempt.Err() == nil; r.sleep(attempt, pause) {
		timeout := nodeHandshakeTimeout
		if r.eager() {
			timeout = eagerHandshakeTimeout
		}
		stopWaiting := r.story.wait()
		l, err := r.node.connect(running, attempt, timeout, false)
		stopWaiting()
		if err == nil {
			r.node.use(l)
			r.links.Go(func() { l.run(running) })
			r.story.connected(l)
			return l
		}
		if attempt.Err() == nil {
			pause = r.pauseAfter(err)
			r.missed(err, pause)
		}
	}
	return nil
}

// sleep pauses, but not for long once the network of this machine has changed.
func (r *reconnector) sleep(ctx context.Context, pause time.Duration) {
	if r.slow {
		sleep(ctx, pause)
		return
	}
	unchanged, cancel := context.WithTimeout(r.node.network.changed(), pause)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	<-unchanged.Done()
	if errors.Is(unchanged.Err(), context.Canceled) && ctx.Err() == nil {
		r.retry.reset()
		sleep(ctx, r.retry.next())
	}
}

// missed takes note of why there is no connection.
func (r *reconnector) missed(err error, pause time.Duration) {
	r.story.disconnected(err, pause)
	r.node.setTrouble(explain(err, r.story.peer))
	if isSentAway(err) {
		r.node.associate(0) // the server has ended all relays
	}
}

func (r *reconnector) pauseAfter(err error) time.Duration {
	r.slow = isReplaced(err)
	if after := retryAfter(err); after > 0 {
		r.slow = true // a change of the network here changes nothing there
		return max(after, r.retry.next())
	}
	if failure, ok := errors.AsType[*FailureError](err); ok {
		switch failure.Code {
		case framing.ErrorNotAuthorized, framing.ErrorBusy:
			r.slow = true
		}
	}
	switch {
	case r.slow:
		return r.retry.slow()
	case r.eager():
		return rand.N(minBackoff)
	}
	return r.retry.next()
}

// isRestart reports whether a connection ended because the other side's process is another one: a stateless reset
// cannot be forged, so trying at once is of use however short the connection was.
func isRestart(err error) bool {
	_, ok := errors.AsType[*quic.StatelessResetError](err)
	return ok
}

// isShutdown reports whether a connection ended because the other side's process stops.
func isShutdown(err error) bool {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorShutdown
}

// isSentAway reports whether the server does not want this node any more.
func isSentAway(err error) bool {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return isNotAuthorized(err) || ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorNotAuthorized
}

// isReplaced reports whether a connection ended because another process has the key of this node.
func isReplaced(err error) bool {
	if failure, ok := errors.AsType[*FailureError](err); ok {
		return failure.Code == framing.ErrorReplaced
	}
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorReplaced
}

// use makes l the connection that services are registered on.
func (n *Node) use(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = l
	if l != nil {
		n.trouble = nil
	}
}

// setTrouble takes note of why there is no connection.
func (n *Node) setTrouble(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trouble = err
}

// current is the connection in use; nil: there is none.
func (n *Node) current() *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link
}

// associate is what this process and that of the server have in common, whose instance is peer; 0: nothing. What it
// had with another one is over.
func (n *Node) associate(peer uint64) *association {
	if n.config.ResumeTime < 0 {
		return nil
	}
	n.mu.Lock()
	before := n.association
	if before == nil && peer == 0 || before != nil && before.peer == peer {
		n.mu.Unlock()
		return before
	}
	n.association = nil
	if peer != 0 {
		n.association = newAssociation(peer, n.config.ResumeTime)
	}
	now := n.association
	n.mu.Unlock()
	before.end(framing.ErrorRelayReset)
	return now
}

// relaysWait reports whether there are relays that go on as soon as there is a connection.
func (n *Node) relaysWait() bool {
	n.mu.Lock()
	a := n.association
	n.mu.Unlock()
	relays, carriers := a.size()
	return relays > 0 && carriers == 0
}

func (n *Node) setStandby(standby bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.standby = standby
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// story tells a person how the connection is: each change once, and why.
type story struct {
	log   *slog.Logger
	peer  string
	begun bool   // it was connected once
	told  string // the last reason; empty while connected
	lost  time.Time
}

// wait tells, unless stop is called soon, that the first attempt has no answer yet.
func (s *story) wait() (stop func() bool) {
	if s.begun || s.told != "" {
		return func() bool { return true }
	}
	log, peer := s.log, s.peer
	return time.AfterFunc(sayAfter, func() { log.Info("no answer yet from " + peer) }).Stop
}

func (s *story) connected(l *link) {
	if s.begun && s.told == "" {
		return // nobody heard of a doubt
	}
	s.begun = true
	attributes := []any{"server", l.quic.RemoteAddr().String()}
	if s.told != "" {
		attributes = append(attributes, "after", time.Since(s.lost).Round(time.Second))
	}
	s.log.Info("connected", attributes...)
	s.told = ""
}

func (s *story) disconnected(err error, pause time.Duration) {
	err = explain(err, s.peer)
	if err.Error() == s.told {
		s.log.Debug("still not connected", "reason", err.Error())
		return
	}
	if s.told == "" {
		s.lost = time.Now()
	}
	s.told = err.Error()
	attributes := []any{"reason", err.Error()}
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok && hinted.Hint() != "" {
		attributes = append(attributes, "hint", hinted.Hint())
	}
	next := "trying again"
	if pause = pause.Round(time.Second); pause > 0 {
		next = "next try in " + pause.String()
	}
	s.log.Warn("not connected, "+next, attributes...)
}
