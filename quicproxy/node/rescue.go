package node

import (
	"context"
	"sync"
	"time"

	"apquic/quicproxy/internal/wait"
)

const (
	// kickEvery is the time between two messages on a path that does not answer. What goes out on a path that
	// has come back makes data flow again at once, so this bounds the wait after an outage.
	kickEvery = 500 * time.Millisecond
	// swapAfter is the time between the first and the second new socket on a path that does not answer; it then
	// doubles. A NAT, or the firewall of this machine, may hold on to a broken mapping as long as something uses
	// it. But each socket that the server hears of is a path to it, and quic-go has connection IDs for two more
	// than the one in use; a path that is never answered keeps its own.
	swapAfter = 5 * time.Second
	// patience is how long kicks may stay unanswered before a second connection is dialled.
	patience = 2 * time.Second
)

// rescue does what may bring a silent path back, until stop is called. It does not wait for the connection, which
// may be unable to send: an upload fills the congestion window. The context ends when something comes.
func (l *link) rescue(ctx context.Context) (something context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	something, came := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		begin, nextSwap, pause := time.Now(), time.Now(), swapAfter
		stats := l.QUIC.ConnectionStats()
		sent, heard := stats.PacketsSent, stats.PacketsReceived
		for ctx.Err() == nil {
			received := l.packetsReceived()
			silent := received == heard
			if !silent { // which may have been late: it does not end the rescue
				heard, begin = received, time.Now()
				came()
			}
			if silent && !time.Now().Before(nextSwap) {
				l.swap()
				nextSwap, pause = time.Now().Add(pause), 2*pause
			}
			if silent && time.Since(begin) >= patience {
				l.path.unanswered()
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

// swap goes on from a new socket: it is bound to no dead interface, and has a new mapping in every NAT.
func (l *link) swap() {
	l.swaps.Add(1)
	if err := l.socket.Swap(); err != nil {
		l.node.log.Debug("no new socket", "err", err)
	}
}
