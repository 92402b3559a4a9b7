package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"apquic/certs"
)

// Limits of a record, in bytes; the wire allows less.
const (
	maxService = 255
	maxOrigin  = 2048
)

// Key says whose lease it is.
type Key struct {
	Node    certs.NodeID
	Service string // 1 to 255 bytes of UTF-8
}

// Lease is the right of a key to a public port.
type Lease struct {
	Key
	Port uint16 // never 0
	// Origin is the upstream behind the port, for people. At most 2048 bytes of UTF-8.
	Origin string
	// HeldUntil is until when nobody else gets the port; zero while the lease is attached.
	HeldUntil time.Time
	// Kept says that the node was one of those whose leases outlast HeldUntil when it
	// asked, or when HeldUntil had passed: see Config.Keep.
	Kept bool
	// Reserved says that HoldNode made HeldUntil: the node may not come back, and the
	// port is closed.
	Reserved bool
	// Revision is that of the record in the store; 0 if there is none.
	Revision uint64
}

// Attached reports whether the owner is there.
func (l Lease) Attached() bool { return l.HeldUntil.IsZero() }

// State is what becomes of a lease next.
type State string

// The states of a lease.
const (
	Attached State = "attached" // its owner is there
	Held     State = "held"     // its owner is away; the port is open, and nobody else's before HeldUntil
	Reserved State = "reserved" // the same for a node that was sent away; the port is closed
	// Lapsed: HeldUntil has passed. The port is closed, still the owner's when it comes
	// back, and another's only if no other port is left.
	Lapsed State = "lapsed"
)

// State returns the state of the lease now.
func (l Lease) State() State {
	switch {
	case l.Attached():
		return Attached
	case !l.HeldUntil.After(time.Now()):
		return Lapsed
	case l.Reserved:
		return Reserved
	default:
		return Held
	}
}

// Validate returns why no store may take the lease.
func (l Lease) Validate() error {
	switch {
	case l.Port == 0:
		return errors.New("a lease needs a port")
	default:
		return validate(l.Key, l.Origin)
	}
}

func validate(key Key, origin string) error {
	switch {
	case key.Node.IsZero():
		return errors.New("a lease needs a node")
	case key.Service == "" || len(key.Service) > maxService:
		return fmt.Errorf("the name of a service has 1 to %d bytes, not %d", maxService, len(key.Service))
	case len(origin) > maxOrigin:
		return fmt.Errorf("an origin address has at most %d bytes, not %d", maxOrigin, len(origin))
	case !utf8.ValidString(key.Service) || !utf8.ValidString(origin):
		return errors.New("the names of a lease are UTF-8") // stores encode in JSON, which would change others silently
	}
	return nil
}

var (
	// ErrConflict says that the store has another revision of the record, or none.
	ErrConflict = errors.New("the stored lease is another revision")
	// ErrTaken says that the port belongs to another key in the store.
	ErrTaken = errors.New("the port is leased to another service")
)

// Store keeps leases, at most one per key, and at most one per port; and of each port
// the last lease that it had before. Each method is one transaction, serialisable with all others, also with those of other
// processes that share the store. Methods may be called concurrently.
//
// An error that is neither ErrConflict nor ErrTaken leaves open whether the write
// happened. A context that has ended before the call is such an error, and then
// nothing was written.
type Store interface {
	// Put creates a record (Revision 0), or replaces exactly the revision given,
	// and returns the lease with its new revision, which no record had before. It
	// is durable when Put returns. The record may change its port; the old one is
	// free then, in the same transaction. HeldUntil comes back from List as the
	// same instant. What ended with this write is stored with it, each in the place of
	// what was known of its port.
	//
	// ErrConflict: another revision is stored, or there is one although Revision is
	// 0, or there is none although it is not. Otherwise ErrTaken: the port belongs
	// to another key. Neither changes anything.
	Put(ctx context.Context, l Lease, ended ...Ended) (Lease, error)

	// Move removes exactly that revision of the record from, which is of another key,
	// and puts l in the same transaction, mostly at its port. The errors are those of
	// Delete and of Put.
	Move(ctx context.Context, from, l Lease, ended ...Ended) (Lease, error)

	// Delete removes exactly that revision of a record, and frees its port; ended is
	// as with Put. ErrConflict: another revision is stored, or none; nothing has
	// changed.
	Delete(ctx context.Context, key Key, revision uint64, ended ...Ended) error

	// List returns all leases by ascending port. A record that cannot be read is an
	// error, never left out.
	List(ctx context.Context) ([]Lease, error)

	// History returns what ended last at each port, by ascending port.
	History(ctx context.Context) ([]Ended, error)

	// Close ends the use of the store; every method fails after it.
	Close() error
}
