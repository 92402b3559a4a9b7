package lease

import (
	"context"
	"errors"
	"fmt"

	"apquic/internal/domain"
)

// DefaultMaxDomains is the default of Config.MaxDomains.
const DefaultMaxDomains = 1 << 16

// checkWanted returns why nobody may have what r asks for.
func (l *Lessor) checkWanted(r Request) error {
	switch {
	case r.Domain == "" && r.WantedPort != 0 && !l.ports.Contains(r.WantedPort):
		return &PortOutOfRangeError{Port: r.WantedPort, Range: l.ports}
	case r.Domain == "" && r.WantedPort != 0 && !r.allows(r.WantedPort):
		return &PortOutOfRangeError{Port: r.WantedPort, Range: r.Ports}
	case r.Domain == "":
		return nil
	case r.WantedPort != 0:
		return &BadDomainError{errors.New("a service has either a domain or a port")}
	case !l.domains:
		return ErrNoDomains
	}
	if err := domain.Check(r.Domain); err != nil {
		return &BadDomainError{err}
	}
	return nil
}

// grantDomain gives the key of r its domain, unless somebody has it: neither a held nor a lapsed one is given
// to others, since other names are always free. A former name of the same service gives it up.
func (l *Lessor) grantDomain(ctx context.Context, r Request) (Lease, error) {
	wanted := Endpoint{Domain: r.Domain}
	owner, owned := l.ownerOf(wanted)
	var from entry
	switch {
	case owned && owner.Key == r.Key:
		granted, err := l.renew(ctx, r, owner)
		if !errors.Is(err, ErrTaken) {
			return granted, err
		}
		l.lose(owner)
		return Lease{}, &DomainTakenError{Domain: r.Domain}
	case owned && !r.Renames(owner.Lease):
		taken := &DomainTakenError{Domain: r.Domain}
		if owner.Node == r.Node && !r.IsGroup() {
			taken.Service = owner.Service
		}
		return Lease{}, taken
	case owned:
		from = owner
	default:
		if err := l.checkNewDomain(r); err != nil {
			return Lease{}, err
		}
	}
	if err := l.makeRoom(ctx, r, from.Key); err != nil {
		return Lease{}, err
	}
	granted, err := l.claim(ctx, r, wanted, from)
	if errors.Is(err, errNotFree) {
		return Lease{}, &DomainTakenError{Domain: r.Domain}
	}
	return granted, err
}

// ownerOf returns the lease of an endpoint.
func (l *Lessor) ownerOf(endpoint Endpoint) (owner entry, owned bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, owned := l.owners[endpoint]
	if !owned {
		return entry{}, false
	}
	return *l.entries[key], true
}

// checkNewDomain returns why a domain that nobody has is not to be had: nobody may have it, another node has the wildcard that stands
// for it, or there are too many. Ports are bounded by their range.
func (l *Lessor) checkNewDomain(r Request) error {
	if err := l.check(r.Domain); err != nil {
		return &BadDomainError{err}
	}
	if wildcard, ok := domain.Wildcard(r.Domain); ok && !domain.IsWildcard(r.Domain) {
		if owner, owned := l.ownerOf(Endpoint{Domain: wildcard}); owned && owner.Node != r.Node {
			return &DomainTakenError{Domain: wildcard}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	domains := 0
	for _, e := range l.entries {
		if e.Domain != "" {
			domains++
		}
	}
	if domains >= l.maxDomains {
		return fmt.Errorf("%w: there are %d", ErrTooManyDomains, domains)
	}
	return nil
}
