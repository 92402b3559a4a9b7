package node

import (
	"context"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/natprobe"
	"apquic/quicproxy/node/internal/reason"
)

// NATBinding is what a node has learned about the NAT of a network (Config.Keepalive).
type NATBinding = keepalive.NATBinding

// NATBindingStore remembers NATBindings across restarts of a node. Losing them costs only some traffic. Save
// gets all of them, the most recently found last.
type NATBindingStore = keepalive.Store

const (
	// challengeSize is the least size of the datagram that a server sends to an address that is new to it
	// (RFC 9000 section 8.2.1). Nothing else in an exchange of Keepalives is so large.
	challengeSize = 1200
	// notInUse is the interval at which a connection checks whether it is the one in use.
	notInUse = time.Minute
)

// scheduleKeepalives says how often a connection whose server sent this Welcome sends Keepalives.
func (l *link) scheduleKeepalives(welcome *framing.Welcome) *keepalive.Schedule {
	config := &l.node.config
	if config.Keepalive >= 0 {
		return keepalive.Fixed(config.Keepalive)
	}
	// A number so large that it overflows would make this node send keepalives without pause.
	peer := time.Duration(min(welcome.IdleTimeoutMilliseconds, uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
	path := keepalive.NewPath(welcome.ObservedAddress, l.source(), l.swaps.Load())
	return l.node.learner.Schedule(time.Now(), path, config.IdleTimeout, peer)
}

// observe notes where the node is, according to the server's answer. received is how many bytes came since
// the question: the answer may already have been in transit when the server began to notice that the node has
// moved.
func (l *link) observe(answer *framing.KeepaliveResponse, received uint64) {
	if l.keepalives.Learns() {
		path := keepalive.NewPath(answer.ObservedAddress, l.source(), l.swaps.Load())
		l.keepalives.Answered(time.Now(), path, received >= challengeSize)
	}
}

// learn learns how long the networks of the link keep a mapping, until ctx ends.
func (l *link) learn(ctx context.Context) {
	for ctx.Err() == nil {
		if !l.inUse() {
			wait.Sleep(ctx, notInUse)
			continue
		}
		try, pause := l.keepalives.Begin(time.Now())
		if pause > 0 {
			wait.SleepOr(ctx, pause, l.keepalives.Changed())
			continue
		}
		before := l.keepalives.Interval()
		kept, err := l.try(ctx, try)
		if err == nil {
			l.keepalives.Result(time.Now(), try, kept)
			if l.keepalives.Interval() < before {
				wait.Signal(l.path.Woken) // the running timer is too long
			}
			continue
		}
		l.keepalives.Abandon(time.Now(), try)
		if reason.IsUnknownOpcode(err) {
			l.node.log.Debug("the server does not help to learn the keepalive interval")
			return
		}
		l.node.log.Debug("how long this network keeps an idle mapping could not be tried", "idle", try.Idle, "err", err)
	}
}

// try finds the outcome of a try, while the try is valid.
func (l *link) try(ctx context.Context, try keepalive.Try) (kept bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(try.Valid, cancel)()
	server := natprobe.Server{Control: l.Control, Address: l.QUIC.RemoteAddr, Listen: l.node.config.ListenPacket}
	return server.Keeps(ctx, try.Idle)
}

// inUse reports whether l is the connection in use.
func (l *link) inUse() bool {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	return l.node.link == l
}
