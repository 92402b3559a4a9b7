// Package ruled keeps the rules of a server while it runs, and turns what they refuse into what nodes are told.
//
// It must not know connections, or decide anything itself.
package ruled

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/server/internal/failure"
	"apquic/rules"
)

// Rules are those that hold now.
type Rules struct {
	now    atomic.Pointer[rules.Rules]
	own    atomic.Pointer[rules.Own]
	ledger usage.Ledger // nil: the bytes of a month are not known
	spent  spent
}

// New returns the rules of a server, or says why they cannot be. ledger knows the bytes of a month; nil: nobody does.
func New(all rules.Rules, ledger usage.Ledger) (*Rules, error) {
	r := &Rules{ledger: ledger}
	r.own.Store(new(rules.Own))
	if err := all.Check(); err != nil {
		return nil, err
	}
	r.Set(all)
	return r, nil
}

// Set makes these, which were checked, all the rules.
func (r *Rules) Set(all rules.Rules) { r.now.Store(&all) }

// SetOwn makes these all the limits of single nodes, and returns whether that changes anything for a node.
func (r *Rules) SetOwn(own rules.Own) (changed func(certs.NodeID) bool) {
	before := *r.own.Swap(&own)
	return func(node certs.NodeID) bool { return own.Differs(before, node) }
}

// Of returns what they say about a node.
func (r *Rules) Of(id certs.NodeID, name string) rules.Limits {
	return r.own.Load().Of(*r.now.Load(), id, name)
}

// HoldTime is how long a lease is held, if they say so; 0: they do not. nameOf is called only if any rule does.
func (r *Rules) HoldTime(key lease.Key, nameOf func(certs.NodeID) string) time.Duration {
	if own := (*r.own.Load())[key.Node].LeaseTime; own.By != "" && !key.IsGroup() {
		return own.Value
	}
	for _, rule := range *r.now.Load() {
		if rule.LeaseTime.By != "" && !key.IsGroup() {
			return r.Of(key.Node, nameOf(key.Node)).LeaseTime.Value
		}
	}
	return 0
}

// Expired is a number for those of them, and of the limits of single nodes, that say that the time of their nodes is over:
// whenever it changes, some may no longer have what they have. How many there are would not do, since one may come while
// another goes.
func (r *Rules) Expired(context.Context) (n uint64) {
	now := time.Now()
	for _, rule := range *r.now.Load() {
		if rule.RefuseAll(now) != nil {
			n += uint64(rule.Expires.Value.UnixNano())
		}
	}
	for _, own := range *r.own.Load() {
		if own.RefuseAll(now) != nil {
			n += uint64(own.Expires.Value.UnixNano())
		}
	}
	return n
}

// Apply has the limits of a node hold for its request, or returns the failure that answers it. The Lessor looks at the
// wanted port, since it knows whether that counts: see Failure.
func Apply(limits rules.Limits, r *lease.Request, private bool) error {
	err := limits.RefuseAll(time.Now())
	if !private {
		anywhere := *r
		anywhere.WantedPort = 0
		err = limits.Refuse(anywhere, time.Now())
	}
	if err != nil {
		return Failure(limits, err)
	}
	limits.Apply(r)
	return nil
}

// Failure is why a request failed, as its node is told; the rule that is the reason, if one is, has its name in there.
// Nil: the request did not fail.
func Failure(limits rules.Limits, err error) error {
	if err == nil {
		return nil
	}
	refusal, refused := errors.AsType[*rules.Refusal](err)
	if told, ok := errors.AsType[*quicproxy.FailureError](err); ok && told.Code == framing.ErrorTooManyServices {
		err = fmt.Errorf("%w: %w", lease.ErrTooManyServices, told)
	}
	if !refused {
		refusal, refused = errors.AsType[*rules.Refusal](limits.Blame(err))
	}
	if !refused {
		return failure.OfLease(err)
	}
	return &quicproxy.FailureError{
		Code: framing.ErrorNotAllowed, Text: refusal.Error(),
		Advice:     fmt.Sprintf("ask the operator of the server, who sees with apquic-server explain what the %s says, or change the service", rules.Named(refusal.Rule)),
		RetryAfter: conn.PersonRetry,
	}
}

// Refused returns those leases of a node that its limits do not allow now, and why.
func Refused(limits rules.Limits, leases []lease.Lease) map[lease.Key]error {
	refused := make(map[lease.Key]error)
	for _, l := range leases {
		if err := limits.RefuseLease(l, time.Now()); err != nil {
			refused[l.Key] = err
		}
	}
	return refused
}
