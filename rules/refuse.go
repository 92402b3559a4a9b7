package rules

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"apquic/internal/domain"
	"apquic/lease"
)

// Refusal says which rule refuses what a node asks for.
type Refusal struct {
	Rule string
	Text string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s (%s of the server)", r.Text, Named(r.Rule))
}

// Refuse returns the *Refusal of a request that the limits of its node do not allow now; nil: they do. The address of a
// group is not one node's, so only the time of the node counts then.
func (l Limits) Refuse(r lease.Request, now time.Time) error {
	if err := l.RefuseAll(now); err != nil || r.IsGroup() {
		return err
	}
	may := func(protocol string) bool {
		return l.Protocols.By == "" || slices.Contains(l.Protocols.Value, protocol)
	}
	switch {
	case r.Transport.HasTCP() && !may(TCP):
		return &Refusal{l.Protocols.By, "this node may have no services over TCP"}
	case r.Transport.HasUDP() && !may(UDP):
		return &Refusal{l.Protocols.By, "this node may have no services over UDP"}
	case r.Domain != "" && !l.allowsDomain(r.Domain):
		return &Refusal{l.Domains.By, fmt.Sprintf("this node may not have the domain %s, only: %s", r.Domain, showList(l.Domains.Value))}
	case r.Domain == "" && l.Ports.By != "" && l.Ports.Value.IsZero():
		return &Refusal{l.Ports.By, "this node may have no public ports"}
	case r.Domain == "" && r.WantedPort != 0 && l.Ports.By != "" && !l.Ports.Value.Contains(r.WantedPort):
		return l.refusePort(r.WantedPort)
	}
	return nil
}

func (l Limits) refusePort(port uint16) error {
	return &Refusal{l.Ports.By, fmt.Sprintf("this node may not have the public port %d, only: %s", port, l.Ports.Value)}
}

// RefuseLease is Refuse for what a node has already.
func (l Limits) RefuseLease(has lease.Lease, now time.Time) error {
	return l.Refuse(lease.Request{Key: has.Key, WantedPort: has.Port, Domain: has.Domain, Transport: has.Transport}, now)
}

// RefuseAll returns the *Refusal of any service, also a private one, since the time of the node is over; nil: it is not.
func (l Limits) RefuseAll(now time.Time) error {
	if l.Expires.Value.IsZero() || now.Before(l.Expires.Value) {
		return nil
	}
	return &Refusal{l.Expires.By, "this node may have no services since " + showTime(l.Expires.Value)}
}

// Blame returns the *Refusal of a request that failed with err because of a limit that Apply gave it; nil: another
// limit was the reason.
func (l Limits) Blame(err error) error {
	_, full := errors.AsType[*lease.RangeFullError](err)
	pinned, isPinned := errors.AsType[*lease.PinnedError](err)
	outside, isOutside := errors.AsType[*lease.PortOutOfRangeError](err)
	switch {
	case isOutside && l.Ports.By != "" && !l.Ports.Value.Contains(outside.Port):
		return l.refusePort(outside.Port)
	case isPinned && l.Ports.By != "" && !l.Ports.Value.Contains(pinned.Port):
		return &Refusal{l.Ports.By, err.Error() + ", which this node may not have"}
	case full && l.Ports.By != "":
		return &Refusal{l.Ports.By, err.Error()}
	case errors.Is(err, lease.ErrTooManyServices) && l.MaxServices.By != "":
		return &Refusal{l.MaxServices.By, err.Error()}
	}
	return nil
}

// allowsDomain reports whether the node may have a domain: it is in the list, or one that stands for it is.
func (l Limits) allowsDomain(name string) bool {
	return l.Domains.By == "" || slices.ContainsFunc(l.Domains.Value, func(allowed string) bool {
		return allowed == Everyone || domain.Covers(allowed, name)
	})
}

// Apply gives a request, which is not refused, what the limits say about the lease that it may get.
func (l Limits) Apply(r *lease.Request) {
	if r.IsGroup() {
		return
	}
	if r.Domain == "" && l.Ports.By != "" {
		r.Ports = l.Ports.Value
	}
	r.MaxPerNode = l.MaxServices.Value
}
