package limit

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
func (s *Strangers) beganLocked(from netip.AddrPort) *flow {
	of := s.flows[from]
	if i := slices.IndexFunc(of, func(f *flow) bool { return f.handshake != nil }); i >= 0 {
		return of[i]
	}
	return nil
}

func (s *Strangers) flowLocked(from netip.AddrPort, client []byte) *flow {
	for _, f := range s.flows[from] {
		if f.client == string(client) {
			return f
		}
	}
	return nil
}

// newFlowLocked first forgets flows that led to no connection: those that are too old, and the oldest if
// there are too many.
func (s *Strangers) newFlowLocked(from netip.AddrPort, client string, now time.Time) *flow {
	idle := func(f *flow) bool { return f.handshake == nil }
	for len(s.order) > 0 && idle(s.order[0]) && now.Sub(s.order[0].since) > handshakeTime {
		s.dropLocked(s.order[0])
	}
	if len(s.order) >= maxFlows {
		if i := slices.IndexFunc(s.order, idle); i >= 0 {
			s.dropLocked(s.order[i])
		}
	}
	if of := s.flows[from]; len(of) >= maxFlowsOf {
		if i := slices.IndexFunc(of, idle); i >= 0 {
			s.dropLocked(of[i])
		}
	}
	f := &flow{from: from, client: client, since: now}
	s.flows[from] = append(s.flows[from], f)
	s.order = append(s.order, f)
	s.flowing.Add(1)
	return f
}

func (s *Strangers) nameLocked(f *flow, id string) {
	f.ids = append(f.ids, id)
	s.ids[id] = f
}

// dropLocked forgets a flow and refunds its cost.
func (s *Strangers) dropLocked(f *flow) {
	if f.over {
		return
	}
	f.over = true
	s.refundLocked(f, 0)
	s.flowing.Add(-1)
	for _, id := range f.ids {
		delete(s.ids, id)
	}
	isF := func(other *flow) bool { return other == f }
	s.order = slices.DeleteFunc(s.order, isF)
	if s.flows[f.from] = slices.DeleteFunc(s.flows[f.from], isF); len(s.flows[f.from]) == 0 {
		delete(s.flows, f.from)
	}
}
