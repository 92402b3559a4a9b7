package node

import (
	"context"
	"sync"
	"time"

	"apquic/quicproxy/internal/wait"
)

const (
	// kickEvery is the interval of messages on a path that does not answer. What is sent on a path that has
	// come back makes data flow again at once, so this bounds the wait after an outage.
	kickEvery = 500 * time.Millisecond
	// swapAfter is the time between the first and the second new socket on a path that does not answer; it
	// then doubles. A NAT, or this machine's firewall, may keep a broken mapping as long as something uses
	// it. But each socket that the server sees is a path to it, and quic-go has connection IDs for only two
	// more than the one in use; a path that is never answered keeps its ID.
	swapAfter = 5 * time.Second
	// suspectAfter is how long kicks may stay unanswered before a second connection is dialled.
	suspectAfter = 2 * time.Second
)

// restore tries to restore a silent path until stop is called. It does not wait for the connection, which may
// be unable to send while an upload fills the congestion window. The context ends when something arrives.
func (l *link) restore(ctx context.Context) (something context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	something, came := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		begin, nextSwap, pause := time.Now(), time.Now(), swapAfter
		stats := l.QUIC.ConnectionStats()
		sent, seen := stats.PacketsSent, stats.PacketsReceived
		for ctx.Err() == nil {
			received := l.packetsReceived()
			silent := received == seen
			if !silent { // it may have been late, so the repeating goes on
				seen, begin = received, time.Now()
				came()
			}
			if silent && !time.Now().Before(nextSwap) {
				l.swap()
				nextSwap, pause = time.Now().Add(pause), 2*pause
			}
			if silent && time.Since(begin) >= suspectAfter {
				l.path.Unanswered()
			}
			wait.Sleep(ctx, kickEvery)
			last := sent
			if sent = l.QUIC.ConnectionStats().PacketsSent; sent == last {
				l.socket.Repeat() // nothing new went out
			}
		}
	})
	return something, func() { cancel(); working.Wait() }
}

// swap continues on a new socket, which is not bound to a dead interface and has a new mapping in every NAT.
func (l *link) swap() {
	l.swaps.Add(1)
	if err := l.socket.Swap(); err != nil {
		l.node.log.Debug("no new socket", "err", err)
	}
}
