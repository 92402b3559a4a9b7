// Package tally counts what a server has carried.
//
// It must not decide anything, or know connections of nodes.
package tally

import (
	"sync"
	"time"

	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/histogram"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server/internal/public"
)

// Tally counts; all fields are required.
type Tally struct {
	Memory    *carrier.Budget
	Public    *public.Listeners
	Datagrams *flow.Counters

	lasted, rtts, firstBytes histogram.Durations // of relays

	mu sync.Mutex
	n  live.Counters // without what is counted elsewhere
}

// Now returns all counters.
func (t *Tally) Now() live.Counters {
	t.mu.Lock()
	defer t.mu.Unlock() // a relay that ends is in one of both
	n := t.n
	for _, r := range t.Memory.Running() {
		n.ToNode, n.FromNode = n.ToNode+r.ToStream(), n.FromNode+r.ToTCP()
	}
	toNodes, fromNodes := t.Public.FlowBytes()
	n.ToNode, n.FromNode = n.ToNode+toNodes, n.FromNode+fromNodes
	n.DatagramsToNodes, n.DatagramsFromNodes, n.DatagramsDropped = t.Datagrams.Sent.Load(), t.Datagrams.Received.Load(), t.Datagrams.Dropped()
	n.Stalled, n.Lasted, n.RTTs, n.FirstBytes = t.Memory.Resets(), t.lasted.Now(), t.rtts.Now(), t.firstBytes.Now()
	n.Refused, n.Answered, n.RefusedBy = t.Public.Refused()
	return n
}

// Change changes the counters.
func (t *Tally) Change(change func(*live.Counters)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.n)
}

// Ended adds the bytes of a relay.
func (t *Tally) Ended(r *relay.Relay) {
	t.Change(func(n *live.Counters) {
		n.ToNode += r.ToStream()
		n.FromNode += r.ToTCP()
		t.Memory.Remove(r)
	})
}

// Lasted counts how long a relay lasted, the round trip time of its node at its end, and how long its client waited for the
// first byte; 0: there was none.
func (t *Tally) Lasted(d, rtt, firstByte time.Duration) {
	t.lasted.Add(d)
	t.rtts.Add(rtt)
	if firstByte > 0 {
		t.firstBytes.Add(firstByte)
	}
}
