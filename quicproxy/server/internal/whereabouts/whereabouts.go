// Package whereabouts notes where a connection of a node comes from, and when the node last showed that it is there.
//
// It must not know the connection, or look by itself.
package whereabouts

import (
	"net/netip"
	"sync"
	"time"

	"apquic/quicproxy/live"
)

// Whereabouts are those of one connection. The zero value has seen none.
type Whereabouts struct {
	mu        sync.Mutex
	address   netip.AddrPort
	moves     int
	moved     time.Time // the last time; zero: never
	heard     time.Time // when the last keepalive came
	keptEvery time.Duration
}

// Look takes the address of the node now, and returns when it last changed; zero: it never did.
func (w *Whereabouts) Look(address netip.AddrPort, now time.Time) (moved time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.address.IsValid() && address != w.address {
		w.moves++
		w.moved = now
	}
	w.address = address
	return w.moved
}

// Keepalive notes that one came.
func (w *Whereabouts) Keepalive(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.heard.IsZero() {
		w.keptEvery = now.Sub(w.heard)
	}
	w.heard = now
}

// Tell fills in what is known.
func (w *Whereabouts) Tell(p *live.Path) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.Moves, p.Moved, p.Heard, p.Keepalive = w.moves, w.moved, w.heard, w.keptEvery
}
