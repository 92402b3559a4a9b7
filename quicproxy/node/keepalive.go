package node

import (
	"context"
	"errors"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/wait"
)

// AutoKeepalive as Config.Keepalive has the node find out how long the NAT of the network that it is in keeps an idle
// mapping, and send a Keepalive just before. Until that is proven it is DefaultKeepalive.
const AutoKeepalive time.Duration = -1

// DefaultKeepalive is the time between two keepalives if none is configured.
const DefaultKeepalive = keepalive.Default

// NATBinding is what a node has learned about the NAT of a network (AutoKeepalive).
type NATBinding = keepalive.NATBinding

// NATBindingStore remembers NATBindings across restarts of a node. Losing them costs some traffic only. Save gets all of
// them, the one that was found last at the end.
type NATBindingStore = keepalive.Store

const (
	// challengeSize is the size of the datagram, at least, that a server sends to an address that is new to it (RFC 9000
	// section 8.2.1). In an exchange of Keepalives nothing else is so large.
	challengeSize = 1200
	// notInUse is the time between two looks of a connection whether it is the one that counts.
	notInUse = time.Minute
)

// scheduleKeepalives says how often a connection sends Keepalives that begins with the Welcome of its server.
func (l *link) scheduleKeepalives(welcome *framing.Welcome) *keepalive.Schedule {
	config := &l.node.config
	if config.Keepalive >= 0 {
		return keepalive.Fixed(config.Keepalive)
	}
	// A number so large that it overflows would have this node send keepalives without end.
	peer := time.Duration(min(welcome.IdleTimeoutMilliseconds, uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
	path := keepalive.NewPath(welcome.ObservedAddress, l.source(), l.swaps.Load())
	return l.node.learner.Schedule(time.Now(), path, config.IdleTimeout, peer)
}

// observe takes what the server says in an answer about where the node is; received is what came since the question, in
// bytes: the answer may have been on its way already when the server began to find out that the node is elsewhere.
func (l *link) observe(answer *framing.KeepaliveResponse, received uint64) {
	if l.keepalives.Learns() {
		path := keepalive.NewPath(answer.ObservedAddress, l.source(), l.swaps.Load())
		l.keepalives.Answered(time.Now(), path, received >= challengeSize)
	}
}

// learn finds out how long the networks that the link comes through keep a mapping, until ctx ends.
func (l *link) learn(ctx context.Context) {
	for ctx.Err() == nil {
		if !l.inUse() {
			wait.Sleep(ctx, notInUse)
			continue
		}
		try, pause := l.keepalives.Begin(time.Now())
		if pause > 0 {
			rest(ctx, pause, l.keepalives.Changed())
			continue
		}
		before := l.keepalives.Interval()
		kept, err := l.try(ctx, try)
		if err == nil {
			l.keepalives.Result(time.Now(), try, kept)
			if l.keepalives.Interval() < before {
				wait.Signal(l.path.woken) // the timer that runs is too long
			}
			continue
		}
		l.keepalives.Abandon(time.Now(), try)
		if isUnknownOpcode(err) {
			l.node.log.Debug("the server does not help to find out how rare keepalives may be")
			return
		}
		l.node.log.Debug("how long this network keeps an idle mapping could not be tried", "idle", try.Idle, "err", err)
	}
}

// try finds the outcome of a try, while it is valid.
func (l *link) try(ctx context.Context, try keepalive.Try) (kept bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(try.Valid, cancel)()
	return l.keeps(ctx, try.Idle)
}

// rest waits, but not when changed has something.
func rest(ctx context.Context, pause time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// inUse reports whether l is the connection that counts at the server.
func (l *link) inUse() bool {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	return l.node.link == l
}

func isUnknownOpcode(err error) bool {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	return ok && failure.Code == framing.ErrorUnknownOpcode
}
