// Package balancer learns from the load balancers in front of a server for whom they connect: from the header
// of the PROXY protocol with which each of their connections begins
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
//
// It must not read a byte beyond the header, or believe anybody whom the operator does not trust.
package balancer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"apquic/quicproxy/internal/netaddr"
)

const (
	// maxWaiting bounds the connections whose header has not come yet. A balancer sends it at once.
	maxWaiting = 1024
	// headerTimeout bounds the wait for a whole header.
	headerTimeout = 3 * time.Second
)

// ErrTooMany is the error of Take for a connection too many.
var ErrTooMany = errors.New("too many connections of load balancers have not sent their PROXY protocol header")

// HeaderError says what is wrong with what came instead of a header.
type HeaderError struct{ cause error }

func (e *HeaderError) Error() string {
	return "no valid PROXY protocol header came: " + e.cause.Error()
}
func (e *HeaderError) Unwrap() error { return e.cause }

// Hint says what to do about it.
func (e *HeaderError) Hint() string {
	return "have the load balancer send the PROXY protocol, version 1 or 2, or take its network out of --proxy-protocol-from"
}

// Balancers are the load balancers that may say for whom they connect, and must.
type Balancers struct {
	networks []netip.Prefix

	mu      sync.Mutex
	waiting map[net.Conn]struct{} // for their header
	stopped bool
}

// New returns the balancers in these networks.
func New(networks []netip.Prefix) *Balancers {
	return &Balancers{networks: networks, waiting: make(map[net.Conn]struct{})}
}

// Has reports whether a connection from that address is one of a balancer.
func (b *Balancers) Has(from net.Addr) bool {
	address := netaddr.Endpoint(from).Addr().WithZone("")
	return slices.ContainsFunc(b.networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// Take admits a connection to Read, which must follow.
func (b *Balancers) Take(c net.Conn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return net.ErrClosed
	}
	if len(b.waiting) >= maxWaiting {
		return ErrTooMany
	}
	b.waiting[c] = struct{}{}
	return c.SetReadDeadline(time.Now().Add(headerTimeout))
}

// Read reads the header and returns both ends of the client's connection to the balancer; nil: the balancer
// speaks for itself, as in a health check. An error is io.EOF if the connection was closed without a word.
func (b *Balancers) Read(c net.Conn) (client, public net.Addr, err error) {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting, c)
		c.SetReadDeadline(time.Time{})
	}()
	header, err := readHeader(c)
	if err != nil {
		return nil, nil, err
	}
	return parse(header)
}

// Stop ends all waits, and those to come.
func (b *Balancers) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for c := range b.waiting {
		c.SetReadDeadline(time.Unix(1, 0))
	}
}

func headerErrorf(format string, args ...any) error { return &HeaderError{fmt.Errorf(format, args...)} }
