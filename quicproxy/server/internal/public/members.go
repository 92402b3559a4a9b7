package public

import (
	"context"
	"slices"
	"time"

	"apquic/certs"
	"apquic/quicproxy/server/internal/members"
)

type member = members.Member[Target]

// assigned is the connection that a client goes to, and whose it is.
type assigned struct {
	Target
	member *member
	offer  members.Offer
}

// Attach makes t the connection of its node that new clients go to, if the offer says that they may. It
// reports whether that changes anything.
func (p *Listener) Attach(t Target, offer members.Offer) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changed = p.members.Attach(t, offer); changed {
		p.parking.wakeLocked()
	}
	return changed
}

// others reports whether other nodes are connected that offer the service.
func (p *Listener) others(node certs.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Find(func(m *member) bool { return m.Connected() && m.Node != node }) != nil
}

// IsOwner reports whether t is the connection of its node that clients go to.
func (p *Listener) IsOwner(t Target) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Of(t) != nil
}

// ownerChanged makes waiting clients check t again.
func (p *Listener) ownerChanged(t Target) {
	if p.IsOwner(t) {
		p.change(func() {})
	}
}

// Suspend gives t no new clients, if it is still the connection of its node: another one is about to replace
// it. Resume takes that back.
func (p *Listener) Suspend(t Target) { p.change(func() { p.members.SetServing(t, false) }) }

// Resume lets new clients go to t again.
func (p *Listener) Resume(t Target) { p.change(func() { p.members.SetServing(t, true) }) }

// Leave ends the part of t. It reports whether t had one, and no other connection has one now.
func (p *Listener) Leave(t Target) (last bool) {
	p.change(func() { last = p.members.Leave(t) })
	return last
}

// assignLocked gives a client to a member; nil: nobody takes it now.
func (p *Listener) assignLocked(tried []Target) *assigned {
	m := p.members.Choose(tried...)
	if m == nil {
		return nil
	}
	p.members.Give(m)
	return &assigned{m.Target, m, m.Offer}
}

// left notes that a client no longer is with its member, whose service may have refused it.
func (p *Listener) left(m *member, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members.Take(m, refused)
}

// TakenElsewhere reports whether another node than this one takes new clients.
func (p *Listener) TakenElsewhere(node certs.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Find(func(m *member) bool { return m.TakesClients() && m.Node != node }) != nil
}

// Next implements canary.Service.
func (p *Listener) Next() (ask func(context.Context) error, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, every := p.members.Canary()
	switch {
	case p.closed:
		return nil, 0
	case m == nil:
		return nil, every
	}
	to, service := m.Target, m.Offer.Service
	return func(ctx context.Context) error { return to.Ask(ctx, service) }, every
}

// canServe reports whether a new client could go to another connection than those that were tried.
func (p *Listener) canServe(tried []Target) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Choose(tried...) != nil
}

// stillThere leaves out the connections that are no longer those of a member.
func (p *Listener) stillThere(tried []Target) []Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(tried, func(t Target) bool { return p.members.Of(t) == nil })
}

// carries returns the connection over which the datagrams of a flow go, and what its node calls the service;
// nil: none. A flow stays with its member while that takes clients, and goes to another one only if that
// does.
func (p *Listener) carries(f *clientFlow) (t Target, service string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := f.member.Load()
	if m == nil || !m.TakesClients() {
		other := p.members.Choose()
		if other == nil && (m == nil || !m.Connected()) {
			other = p.members.Find(func(m *member) bool { return m.Connected() && !m.Offer.Unhealthy }) // it may be back soon
		}
		if other != nil && !f.over {
			p.moveFlowLocked(f, other)
			m = other
		}
	}
	if m == nil || m.Offer.Unhealthy {
		return nil, ""
	}
	return m.Target, m.Offer.Service // nil while the node is away
}

func (p *Listener) moveFlowLocked(f *clientFlow, to *member) {
	p.members.Give(to)
	if from := f.member.Swap(to); from != nil {
		p.members.Take(from, false)
	}
}

// flowEnded uncounts a flow.
func (p *Listener) flowEnded(f *clientFlow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := f.member.Load(); m != nil && !f.over {
		p.members.Take(m, false)
	}
	f.over = true
}
