package lease

import (
	"cmp"
	"fmt"
	"log/slog"
	"strconv"
)

// Endpoint is the public address of a lease: a port or a domain, exactly one of them. The zero value is none.
type Endpoint struct {
	Port   uint16
	Domain string // in the one form of package domain
}

// Endpoint returns the public address of the lease.
func (l Lease) Endpoint() Endpoint { return Endpoint{Port: l.Port, Domain: l.Domain} }

// IsZero reports whether e is none.
func (e Endpoint) IsZero() bool { return e == Endpoint{} }

func (e Endpoint) String() string {
	if e.Domain != "" {
		return e.Domain
	}
	return strconv.Itoa(int(e.Port))
}

// Attr is e in the log.
func (e Endpoint) Attr() slog.Attr {
	if e.Domain != "" {
		return slog.String("domain", e.Domain)
	}
	return slog.Int("port", int(e.Port))
}

// describe is e in a sentence.
func (e Endpoint) describe() string {
	if e.Domain != "" {
		return e.Domain
	}
	return fmt.Sprintf("port %d", e.Port)
}

// Compare orders domains by name, and ports, which come after them, by number.
func (e Endpoint) Compare(other Endpoint) int {
	return cmp.Or(cmp.Compare(e.Port, other.Port), cmp.Compare(e.Domain, other.Domain))
}

func byEndpoint(a, b Lease) int { return a.Endpoint().Compare(b.Endpoint()) }

// ofPorts leaves out what ended at a domain: the history is for choosing ports, of which there are few. Of
// names there are too many to remember.
func ofPorts(ended []Ended) (history []Ended) {
	for _, e := range ended {
		if e.Port != 0 {
			history = append(history, e)
		}
	}
	return history
}
