package handshakes

import (
	"net/netip"
	"slices"
	"time"
)

// keepLocked charges a flow for what QUIC may keep beyond what was charged with its handshake.
func (a *Account) keepLocked(f *flow, cost int64, now time.Time) bool {
	kept := f.kept + cost
	if kept > maxKept {
		f.overdrawn = true
		return false
	}
	if f.handshake != nil && kept > honestlyKept && !a.chargeLocked(f, kept-max(f.kept, honestlyKept), now) {
		return false
	}
	f.kept = kept
	return true
}

// payerLocked is the flow charged for a datagram of f. Begin knows only the address, so the handshake of a
// flow may be noted at another flow of its address.
func (a *Account) payerLocked(f *flow) *flow {
	if f.handshake == nil {
		if began := a.beganLocked(f.from); began != nil {
			return began
		}
	}
	return f
}

// chargeLocked takes memory for a flow. If it is short, the oldest connections of the network that has too
// much make room, or the oldest of all.
func (a *Account) chargeLocked(f *flow, cost int64, now time.Time) bool {
	address, known := f.from.Addr(), a.known.has(f.from.Addr(), now)
	for {
		where, ok := a.spent.full(address, cost, known)
		if ok {
			break
		}
		oldest := slices.IndexFunc(a.order, func(o *flow) bool {
			return o != f && o.handshake != nil && o.handshake.end != nil && now.Sub(o.since) > busyAfter &&
				(where == netip.Prefix{} || where.Contains(o.from.Addr().Unmap()))
		})
		if oldest < 0 {
			return false
		}
		o := a.order[oldest]
		a.dropLocked(o)
		o.handshake.end()
	}
	a.spent.add(address, cost)
	f.charged += cost
	return true
}

// refundLocked refunds all but left.
func (a *Account) refundLocked(f *flow, left int64) {
	a.spent.add(f.from.Addr(), left-f.charged)
	f.charged = left
}
