package lease

import (
	"errors"
	"fmt"
)

var (
	// ErrPortOutOfRange: see [PortOutOfRangeError].
	ErrPortOutOfRange = errors.New("port out of range")
	// ErrPortBusy says that the port of a lease cannot be opened now, mostly because another program has it.
	// The owner keeps the lease.
	ErrPortBusy = errors.New("the port is in use by another program")
	// ErrExhausted is what a Binder returns when it cannot open any further port.
	ErrExhausted = errors.New("no further port can be opened")
	// ErrNoLease says that this key has no lease.
	ErrNoLease = errors.New("there is no such lease")
	// ErrAttached says that the owner of a lease is connected and uses the port.
	ErrAttached = errors.New("the node of this lease is connected and uses the port")
	// ErrNotPort says that a lease is not that of a node's port, and cannot be pinned.
	ErrNotPort = errors.New("only the port of a node's service can be pinned")
	// ErrNotPinned says that Unpin has nothing to do.
	ErrNotPinned = errors.New("the port of this service is not pinned")
	// ErrNoDomains says that the server leases ports only.
	ErrNoDomains = errors.New("this server leases no domains")
	// ErrBadDomain: see [BadDomainError].
	ErrBadDomain = errors.New("no domain that can be leased")
	// ErrDomainTaken: see [DomainTakenError].
	ErrDomainTaken = errors.New("the domain is taken")
	// ErrTooManyDomains says that as many domains are leased as may be.
	ErrTooManyDomains = errors.New("no further domain can be leased")
	// ErrShared: see [SharedError].
	ErrShared = errors.New("the group is at another address")
	// ErrTooManyServices says that the node already has as many services as a node may.
	ErrTooManyServices = errors.New("too many services")
)

// PortOutOfRangeError says that a wanted port is not one of this server's. It is ErrPortOutOfRange.
type PortOutOfRangeError struct {
	Port  uint16
	Range PortRange
}

func (e *PortOutOfRangeError) Error() string {
	return fmt.Sprintf("the public port %d is not one of this server's, %v", e.Port, e.Range)
}

func (e *PortOutOfRangeError) Is(target error) bool { return target == ErrPortOutOfRange }

// PinnedError says that the operator has pinned a service to a port, and that it asks for a domain or may not have this
// port.
type PinnedError struct{ Port uint16 }

func (e *PinnedError) Error() string {
	return fmt.Sprintf("the operator of the server has pinned this service to the public port %d", e.Port)
}

// PortTakenError says whose a port is already.
type PortTakenError struct {
	Lease Lease
}

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("the public port %d belongs to another service, %q", e.Lease.Port, e.Lease.Service)
}

// BadDomainError says why a text is no domain that can be leased. It is ErrBadDomain.
type BadDomainError struct{ Cause error }

func (e *BadDomainError) Error() string { return e.Cause.Error() }

func (e *BadDomainError) Is(target error) bool { return target == ErrBadDomain }

// DomainTakenError says that a domain belongs to another service. It is ErrDomainTaken.
type DomainTakenError struct {
	Domain  string
	Service string // the one that has it, if that is of the same node
}

func (e *DomainTakenError) Error() string {
	if e.Service != "" {
		return fmt.Sprintf("the domain %s belongs to the service %q of this node", e.Domain, e.Service)
	}
	return fmt.Sprintf("the domain %s belongs to another node", e.Domain)
}

func (e *DomainTakenError) Is(target error) bool { return target == ErrDomainTaken }

// SharedError says that a group that others use has another endpoint, or another transport, than was asked for.
// It is ErrShared.
type SharedError struct{ Lease Lease }

func (e *SharedError) Error() string {
	at := e.Lease.Domain
	if at == "" {
		at = fmt.Sprintf("port %d over %v", e.Lease.Port, e.Lease.Transport)
	}
	return fmt.Sprintf("the group %q is at %s, where other nodes offer it", e.Lease.Service, at)
}

func (e *SharedError) Is(target error) bool { return target == ErrShared }

// RangeFullError says that no port is left, and how all are used.
type RangeFullError struct {
	Range      PortRange
	Size       int // ports of the range
	Attached   int // leased to nodes that are connected
	Held       int // kept for nodes that are away
	Unbindable int // in use by other programs or other servers
	Cause      error
}

func (e *RangeFullError) Error() string {
	return fmt.Sprintf("no public port is left: of the %d in %v, %d are leased, %d are kept for nodes that are away, %d cannot be opened",
		e.Size, e.Range, e.Attached, e.Held, e.Unbindable)
}

// Unwrap returns why one of the unbindable ports cannot be opened; nil if there is none.
func (e *RangeFullError) Unwrap() error { return e.Cause }
