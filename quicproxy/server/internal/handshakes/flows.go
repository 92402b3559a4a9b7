package handshakes

import (
	"net/netip"
	"slices"
	"time"
)

// flow is what the packets of one handshake have in common: the address and the client's own connection id.
type flow struct {
	from      netip.AddrPort
	client    string // the client's connection id
	ids       []string
	since     time.Time
	datagrams int
	kept      int64 // the most that QUIC keeps of what came
	charged   int64
	handshake *Handshake // nil: there is none yet, or it needs a Retry
	overdrawn bool       // it sent more than QUIC may keep
	over      bool
}

// beganLocked returns a flow from an address that has a handshake; nil: none has.
func (a *Account) beganLocked(from netip.AddrPort) *flow {
	of := a.flows[from]
	if i := slices.IndexFunc(of, func(f *flow) bool { return f.handshake != nil }); i >= 0 {
		return of[i]
	}
	return nil
}

func (a *Account) flowLocked(from netip.AddrPort, client []byte) *flow {
	for _, f := range a.flows[from] {
		if f.client == string(client) {
			return f
		}
	}
	return nil
}

// newFlowLocked first forgets flows that led to no connection: those that are too old, and the oldest if
// there are too many.
func (a *Account) newFlowLocked(from netip.AddrPort, client string, now time.Time) *flow {
	idle := func(f *flow) bool { return f.handshake == nil }
	for len(a.order) > 0 && idle(a.order[0]) && now.Sub(a.order[0].since) > handshakeTime {
		a.dropLocked(a.order[0])
	}
	if len(a.order) >= maxFlows {
		if i := slices.IndexFunc(a.order, idle); i >= 0 {
			a.dropLocked(a.order[i])
		}
	}
	if of := a.flows[from]; len(of) >= maxFlowsOf {
		if i := slices.IndexFunc(of, idle); i >= 0 {
			a.dropLocked(of[i])
		}
	}
	f := &flow{from: from, client: client, since: now}
	a.flows[from] = append(a.flows[from], f)
	a.order = append(a.order, f)
	a.flowing.Add(1)
	return f
}

func (a *Account) nameLocked(f *flow, id string) {
	f.ids = append(f.ids, id)
	a.ids[id] = f
}

// dropLocked forgets a flow and refunds its cost.
func (a *Account) dropLocked(f *flow) {
	if f.over {
		return
	}
	f.over = true
	a.refundLocked(f, 0)
	a.flowing.Add(-1)
	for _, id := range f.ids {
		delete(a.ids, id)
	}
	isF := func(other *flow) bool { return other == f }
	a.order = slices.DeleteFunc(a.order, isF)
	if a.flows[f.from] = slices.DeleteFunc(a.flows[f.from], isF); len(a.flows[f.from]) == 0 {
		delete(a.flows, f.from)
	}
}
