package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/wait"
)

const (
	minBackoff, maxBackoff = time.Second, time.Minute
	// A place for a stranger is taken for a few round trips only.
	minNoPlace = 250 * time.Millisecond
	// A connection that lasted so long was no failure: the next attempt after it comes soon.
	lasting = 10 * time.Second
	// For so long after a loss attempts are short and follow each other, so that a server that comes back is
	// found within two seconds. Then they become rarer: somebody may pay for the traffic.
	eager                 = 2 * time.Minute
	eagerHandshakeTimeout = 3 * time.Second
	// A server that was restarted soon after a connection was made is found again at once, so often.
	quickEvery, quickBurst = time.Minute, 4
)

// backoff makes the pauses between attempts: full jitter below a limit that doubles. A thousand nodes that
// lost their server come back spread out.
type backoff struct{ limit time.Duration }

func (b *backoff) next() time.Duration { return b.from(minBackoff) }

// noPlace is the pause before a server is asked again that had no place: it doubles as others do, but begins shorter.
func (b *backoff) noPlace() time.Duration { return b.from(minNoPlace) }

func (b *backoff) from(least time.Duration) time.Duration {
	b.limit = min(max(2*b.limit, least), maxBackoff)
	return rand.N(b.limit)
}

func (b *backoff) reset() { b.limit = 0 }

// slow is the pause when trying soon is of no use, because a person must do something first.
func (b *backoff) slow() time.Duration {
	b.limit = maxBackoff
	return maxBackoff/2 + rand.N(maxBackoff/2)
}

// reconnector makes the connections of a running node, one after the other.
type reconnector struct {
	node  *Node
	links *sync.WaitGroup
	retry backoff
	lost  time.Time     // when the last connection ended that had lasted; zero: there was none
	quick *rate.Limiter // of attempts at once after short connections
	slow  bool          // the pause is long because a person must do something first
	story story
}

func newReconnector(n *Node, links *sync.WaitGroup) *reconnector {
	return &reconnector{
		node: n, links: links, quick: rate.NewLimiter(rate.Every(quickEvery), quickBurst),
		story: story{log: n.log, peer: n.peerName()},
	}
}

// ended takes note of the end of a connection that was made, and returns the pause before the next one. Only one that
// lasted shows that the server is of use: others are failures, however they began.
func (r *reconnector) ended(l *link, err error) (pause time.Duration) {
	lasted := time.Since(l.since) > lasting
	if lasted {
		r.retry.reset()
		r.lost = time.Now()
	}
	pause = r.pauseAfter(err, lasted || isRestart(err) && r.quick.Allow())
	if lasted && conn.IsShutdown(err) && l.restarts.Load() {
		pause = rand.N(restartPause)
	}
	return pause
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
		stopWaiting := r.story.wait(timeout)
		l, err := r.node.connect(running, attempt, timeout, false)
		stopWaiting()
		if err == nil {
			r.node.use(l)
			r.links.Go(func() { l.run(running) })
			r.story.connected(l)
			return l
		}
		if attempt.Err() == nil {
			if hadNoPlace(err) && !r.eager() { // else the pause is short anyway
				r.slow, pause = false, r.retry.noPlace()
			} else {
				pause = r.pauseAfter(err, r.eager())
			}
			r.missed(err, pause)
		}
	}
	return nil
}

// sleep pauses, but not for long once the network of this machine has changed.
func (r *reconnector) sleep(ctx context.Context, pause time.Duration) {
	if r.slow {
		wait.Sleep(ctx, pause)
		return
	}
	unchanged, cancel := context.WithTimeout(r.node.network.changed(), pause)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	<-unchanged.Done()
	if errors.Is(unchanged.Err(), context.Canceled) && ctx.Err() == nil {
		r.retry.reset()
		wait.Sleep(ctx, r.retry.next())
	}
}

// missed takes note of why there is no connection.
func (r *reconnector) missed(err error, pause time.Duration) {
	r.story.disconnected(err, pause)
	r.node.setTrouble(conn.Explain(err, r.story.peer))
	if isSentAway(err) {
		r.node.associate(0) // the server has ended all relays
	}
}

// pauseAfter is the pause after a failure; soon: it is a short one, unless a person or the server has to do something first.
func (r *reconnector) pauseAfter(err error, soon bool) time.Duration {
	r.slow = isReplaced(err)
	if after := retryAfter(err); after > 0 {
		r.slow = true // a change of the network here changes nothing there
		return max(after, r.retry.next())
	}
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		switch failure.Code {
		case framing.ErrorNotAuthorized, framing.ErrorBusy:
			r.slow = true
		}
	}
	switch {
	case r.slow:
		return r.retry.slow()
	case soon:
		return rand.N(minBackoff)
	}
	return r.retry.next()
}

// isRestart reports whether a connection ended because the other side's process is another one, which is there already. A
// stateless reset cannot be forged, but the server itself can send one to every connection.
func isRestart(err error) bool {
	_, ok := errors.AsType[*quic.StatelessResetError](err)
	return ok
}

// isSentAway reports whether the server does not want this node any more.
func isSentAway(err error) bool {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return isNotAuthorized(err) || ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorNotAuthorized
}

// isReplaced reports whether a connection ended because another process has the key of this node.
func isReplaced(err error) bool {
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return failure.Code == framing.ErrorReplaced
	}
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorReplaced
}

// hadNoPlace reports whether a server that was dialed takes no connection of a stranger at the moment.
func hadNoPlace(err error) bool {
	if refused, ok := errors.AsType[*quic.TransportError](err); ok {
		return refused.Remote && refused.ErrorCode == quic.ConnectionRefused
	}
	end, ok := errors.AsType[*quic.ApplicationError](err)
	return ok && end.Remote && framing.ErrorCode(end.ErrorCode) == framing.ErrorBusy
}
