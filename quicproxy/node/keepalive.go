package node

import (
	"context"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/node/internal/natprobe"
)

// NATBinding is what a node has learned about the NAT of a network (Config.Keepalive).
type NATBinding = keepalive.NATBinding

// NATBindingStore remembers NATBindings across restarts of a node. Losing them costs only some traffic. Save
// gets all of them, the most recently found last.
type NATBindingStore = keepalive.Store

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

// observe notes where the node is, according to the server's answer. received is how many bytes came since the question.
func (l *link) observe(answer *framing.KeepaliveResponse, received uint64) {
	if l.keepalives.Learns() {
		path := keepalive.NewPath(answer.ObservedAddress, l.source(), l.swaps.Load())
		l.keepalives.Answered(time.Now(), path, received)
	}
}

// learn learns how long the networks of the link keep a mapping, until ctx ends.
func (l *link) learn(ctx context.Context) {
	server := natprobe.Server{Control: l.Control, Address: l.QUIC.RemoteAddr, Listen: l.node.config.ListenPacket}
	server.Learn(ctx, l.keepalives, natprobe.Wishes{InUse: func() bool { return l.node.current() == l }, Shorter: l.path.Woken, Log: l.node.log})
}
