package limit

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"

	"apquic/quicproxy/internal/netaddr"
)

// The size of a Sketch: sketchRows times sketchSlots, 8 bytes each.
const sketchRows, sketchSlots = 4, 512

// Sketch limits how often each address may do something, for any number of addresses in 16 KiB: a count-min sketch
// (https://doi.org/10.1016/j.jalgor.2003.12.001) of token buckets. Nobody ever has more than the limit. While
// hundreds of addresses are at theirs, another one may be refused now and then because it shares a bucket with one
// of them in each row.
type Sketch struct {
	seed maphash.Seed

	mu    sync.Mutex
	begin time.Time
	// full is when each bucket will be full again, after begin: the theoretical arrival time of the generic cell
	// rate algorithm (ITU-T I.371).
	full [sketchRows][sketchSlots]time.Duration
}

// NewSketch returns one that has seen nobody.
func NewSketch(now time.Time) *Sketch { return &Sketch{seed: maphash.MakeSeed(), begin: now} }

// Allow reports whether an address, or /64, may do it once more now, when each may do it burst times at once and once
// more per every. Its networks may do it as many times as often as their weight says. A refused address does not use
// up what its neighbours have.
func (s *Sketch) Allow(address netip.Addr, every time.Duration, burst int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	networks := netaddr.Networks(address)
	for _, n := range networks {
		each := every / time.Duration(n.Weight)
		room := every * time.Duration(burst) // weight times the burst, weight times as often
		if s.fullLocked(n.Prefix)-max(now.Sub(s.begin), 0)+each > room {
			return false
		}
	}
	for _, n := range slices.Backward(networks) {
		s.takeLocked(n.Prefix, every/time.Duration(n.Weight), max(now.Sub(s.begin), 0))
	}
	return true
}

// fullLocked is when the bucket of a network will be full again: what the emptiest-looking of its rows is sure of.
func (s *Sketch) fullLocked(network netip.Prefix) time.Duration {
	full := s.full[0][s.slot(network, 0)]
	for row := 1; row < sketchRows; row++ {
		full = min(full, s.full[row][s.slot(network, row)])
	}
	return full
}

// takeLocked takes one token of a network.
func (s *Sketch) takeLocked(network netip.Prefix, each, now time.Duration) {
	full := max(s.fullLocked(network), now) + each
	for row := range sketchRows {
		slot := &s.full[row][s.slot(network, row)]
		*slot = max(*slot, full) // not more than is needed: conservative update
	}
}

// slot is the place of a network in a row.
func (s *Sketch) slot(network netip.Prefix, row int) int {
	type key struct {
		network netip.Prefix
		row     int
	}
	return int(maphash.Comparable(s.seed, key{network, row}) % sketchSlots)
}
