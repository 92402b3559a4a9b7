package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/connlog"
	"apquic/quicproxy/node/internal/dial"
	"apquic/quicproxy/node/internal/reason"
	"apquic/quicproxy/node/internal/retry"
)

const (
	// A connection that lasted so long was no failure: the next attempt after it comes soon.
	lasting = 10 * time.Second
	// For so long after a loss, attempts are short and follow each other, so that a server that comes back is
	// found within two seconds. Then they become rarer: traffic may cost money.
	eager                 = 2 * time.Minute
	eagerHandshakeTimeout = 3 * time.Second
	// A server that restarted soon after a connection was made is tried again at once, so often.
	quickEvery, quickBurst = time.Minute, 4
)

// restartPause is the longest wait before a node reconnects to a server that restarts, so that nodes come
// spread out.
const restartPause = 250 * time.Millisecond

// reconnector makes the connections of a running node, one after the other.
type reconnector struct {
	node    *Node
	links   *sync.WaitGroup
	retry   retry.Backoff
	lost    time.Time     // when the last lasting connection ended; zero: there was none
	quick   *rate.Limiter // attempts without a pause after short connections
	slow    bool          // the pause is long because a person must do something first
	connLog *connlog.Log
}

func newReconnector(n *Node, links *sync.WaitGroup) *reconnector {
	return &reconnector{
		node: n, links: links, quick: rate.NewLimiter(rate.Every(quickEvery), quickBurst),
		connLog: connlog.New(n.log, n.peerName()),
	}
}

// ended notes the end of a connection, and returns the pause before the next one. Only a lasting connection
// shows that the server works: others are failures, however they began.
func (r *reconnector) ended(l *link, err error) (pause time.Duration) {
	lasted := time.Since(l.since) > lasting
	if lasted {
		r.retry.Reset()
		r.lost = time.Now()
	}
	pause = r.pauseAfter(err, lasted || reason.IsRestart(err) && r.quick.Allow())
	if lasted && conn.IsShutdown(err) && l.restarts.Load() {
		pause = rand.N(restartPause)
	}
	return pause
}

// eager reports whether attempts should be short and follow each other.
func (r *reconnector) eager() bool {
	if r.lost.IsZero() {
		return false
	}
	return time.Since(r.lost) < eager || r.node.relaysWait()
}

// connect tries until it has a connection, which then runs until running ends. It returns nil if attempt ends
// first.
func (r *reconnector) connect(running, attempt context.Context, pause time.Duration) *link {
	for r.sleep(attempt, pause); attempt.Err() == nil; r.sleep(attempt, pause) {
		timeout := dial.HandshakeTimeout
		if r.eager() {
			timeout = eagerHandshakeTimeout
		}
		stopWaiting := r.connLog.Wait(timeout)
		l, err := r.node.connect(running, attempt, timeout, false)
		stopWaiting()
		if err == nil {
			r.node.use(l)
			r.links.Go(func() { l.run(running) })
			r.connLog.Connected(l.QUIC.RemoteAddr().String())
			return l
		}
		if attempt.Err() == nil {
			if reason.HadNoPlace(err) && !r.eager() { // otherwise the pause is short anyway
				r.slow, pause = false, r.retry.NoPlace()
			} else {
				pause = r.pauseAfter(err, r.eager())
			}
			r.missed(err, pause)
		}
	}
	return nil
}

// sleep pauses, but only briefly once the network of this machine has changed.
func (r *reconnector) sleep(ctx context.Context, pause time.Duration) {
	if r.slow {
		wait.Sleep(ctx, pause)
		return
	}
	unchanged, cancel := context.WithTimeout(r.node.network.Changed(), pause)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	<-unchanged.Done()
	if errors.Is(unchanged.Err(), context.Canceled) && ctx.Err() == nil {
		r.retry.Reset()
		wait.Sleep(ctx, r.retry.Next())
	}
}

// missed notes why there is no connection.
func (r *reconnector) missed(err error, pause time.Duration) {
	r.connLog.Disconnected(err, pause)
	r.node.setTrouble(conn.Explain(err, r.node.peerName()))
	if reason.IsSentAway(err) {
		r.node.associate(0) // the server has ended all relays
	}
}

// pauseAfter returns the pause after a failure; a short one if soon, unless a person or the server has to do
// something first.
func (r *reconnector) pauseAfter(err error, soon bool) time.Duration {
	r.slow = reason.IsReplaced(err)
	if after := retry.After(err); after > 0 {
		r.slow = true // a change of this machine's network does not help
		return max(after, r.retry.Next())
	}
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		switch failure.Code {
		case framing.ErrorNotAuthorized, framing.ErrorBusy:
			r.slow = true
		}
	}
	switch {
	case r.slow:
		return r.retry.Slow()
	case soon:
		return rand.N(retry.MinBackoff)
	}
	return r.retry.Next()
}
