package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"apquic/certs"
	"apquic/internal/domain"
)

// Limits of a record, in bytes; the wire allows less.
const (
	maxService = 255
	maxOrigin  = 2048
)

// Key says whose lease it is: that of a node's service or, without a node, of a group, a service that several
// nodes offer. Nobody has the key of the zero id.
type Key struct {
	Node    certs.NodeID // zero: a group
	Service string       // or the group's name; 1 to 255 bytes of UTF-8
}

// IsGroup reports whether it is the key of a group.
func (k Key) IsGroup() bool { return k.Node.IsZero() }

// attrs are k in the log.
func (k Key) attrs(more ...any) []any {
	if k.IsGroup() {
		return append([]any{"group", k.Service}, more...)
	}
	return append([]any{"node", k.Node, "service", k.Service}, more...)
}

// Lease is the right of a key to a public port, or to a domain.
type Lease struct {
	Key
	Port   uint16 // 0: it has a domain
	Domain string // empty: it has a port
	// Transport says for what the port is open; TCP for a domain. No other lease has the port, whatever the
	// transport.
	Transport Transport
	// Origin is the upstream behind the port, for people: at most 2048 bytes of UTF-8.
	Origin string
	// HeldUntil is when others may get the port; zero while the lease is attached.
	HeldUntil time.Time
	// Kept says that the lease outlasts HeldUntil, because Config.Keep said so when the node asked or when
	// HeldUntil passed.
	Kept bool
	// Pinned says that Pin made the port that of the key for good: it is neither given to others nor left for another one.
	Pinned bool
	// Reserved says that HoldNode set HeldUntil: the node may not come back, and its endpoint is closed.
	Reserved bool
	// Revision is that of the record in the store; 0 if there is none.
	Revision uint64
}

// Attached reports whether the owner is connected.
func (l Lease) Attached() bool { return l.HeldUntil.IsZero() }

// State is the state of a lease.
type State string

// The states of a lease.
const (
	Attached State = "attached" // its owner is connected
	Held     State = "held"     // its owner is away; the endpoint is open, and nobody else gets it before HeldUntil
	Reserved State = "reserved" // the same for a removed node; the port is closed
	// Lapsed: HeldUntil has passed. The endpoint is closed. It is still the owner's, unless it is a port that is not
	// pinned and no other is left.
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

// Validate returns why no store may accept the lease.
func (l Lease) Validate() error {
	switch {
	case l.Endpoint().IsZero():
		return errors.New("a lease needs a port or a domain")
	case l.Port != 0 && l.Domain != "":
		return errors.New("a lease has either a port or a domain")
	case l.Transport > TCPAndUDP, l.Domain != "" && l.Transport != TCP:
		return fmt.Errorf("a lease of %v at %v", l.Transport, l.Endpoint())
	case l.Pinned && l.Port == 0:
		return errors.New("only a port can be pinned")
	case l.Domain != "":
		if err := domain.Check(l.Domain); err != nil {
			return err
		}
	}
	return validate(l.Key, l.Origin)
}

func validate(key Key, origin string) error {
	switch {
	case key.Service == "" || len(key.Service) > maxService:
		return fmt.Errorf("the name of a service has 1 to %d bytes, not %d", maxService, len(key.Service))
	case len(origin) > maxOrigin:
		return fmt.Errorf("an origin address has at most %d bytes, not %d", maxOrigin, len(origin))
	case !utf8.ValidString(key.Service) || !utf8.ValidString(origin):
		return errors.New("the names of a lease must be UTF-8") // stores encode in JSON, which would silently change others
	}
	return nil
}

var (
	// ErrConflict says that the store has another revision of the record, or none.
	ErrConflict = errors.New("the stored lease is another revision")
	// ErrTaken says that the store has the port or domain under another key.
	ErrTaken = errors.New("it is leased to another service")
)

// Store keeps leases, at most one per key and at most one per endpoint, and the last ended lease of each port.
// Each method is one transaction, serialisable with all others, including those of other processes that share
// the store. Methods may be called concurrently.
//
// After an error that is neither ErrConflict nor ErrTaken the write may or may not have happened; but if the
// context had ended before the call, nothing was written.
type Store interface {
	// Put creates a record (Revision 0), or replaces exactly the revision given, and returns the lease with
	// its new revision, which no record had before. It is durable when Put returns. The record may change its
	// endpoint, which frees the old one in the same transaction. List returns HeldUntil as the same instant. What
	// ended with this write is stored with it and replaces the history of its port.
	//
	// ErrConflict: another revision is stored, or one exists although Revision is 0, or none exists although
	// it is not. Otherwise ErrTaken: the endpoint belongs to another key. Neither changes anything.
	Put(ctx context.Context, l Lease, ended ...Ended) (Lease, error)

	// Move removes exactly that revision of the record from, which has another key, and puts l in the same
	// transaction, mostly at its endpoint. The errors are those of Delete and of Put.
	Move(ctx context.Context, from, l Lease, ended ...Ended) (Lease, error)

	// Delete removes exactly that revision of a record, and frees its endpoint; ended is as with Put.
	// ErrConflict: another revision is stored, or none; nothing has changed.
	Delete(ctx context.Context, key Key, revision uint64, ended ...Ended) error

	// List returns all leases in the order of Endpoint.Compare. A record that cannot be read is an error, never skipped.
	List(ctx context.Context) ([]Lease, error)

	// History returns the last ended lease of each port, by ascending port.
	History(ctx context.Context) ([]Ended, error)

	// Close closes the store; every later call fails.
	Close() error
}
