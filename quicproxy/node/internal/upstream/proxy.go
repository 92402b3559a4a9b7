package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"apquic/quicproxy/internal/limit"
)

const (
	// askTimeout bounds the wait for where a client wants to go, and maxAsking how many may be asked at once: less
	// than may be dialled at once, so that a proxy does not take the places of other services.
	askTimeout = 5 * time.Second
	maxAsking  = 256
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 4
)

var (
	errTooManyAsked = errors.New("too many clients have not said where they want to go")
	errNotAllowed   = errors.New("it is in none of the networks of this proxy")
)

// Stream is what a client says before it is connected, and hears.
type Stream interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}

// proxy connects each client to where it wants, in some networks.
type proxy struct {
	networks []netip.Prefix
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	connect  DialFunc
	asking   limit.Count // those that are asked
}

func newProxy(networks []netip.Prefix, connect DialFunc) *proxy {
	resolve := func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	return &proxy{networks: networks, resolve: resolve, connect: connect}
}

// dial asks the client where it wants to go, and connects it there.
func (p *proxy) dial(ctx context.Context, client Client) (net.Conn, error) {
	to, err := p.ask(client.Stream)
	if err != nil {
		return nil, err
	}
	c, err := p.reach(ctx, to)
	if err != nil {
		return nil, answer(client.Stream, codeOf(err), err)
	}
	if err := answer(client.Stream, socksDone, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (p *proxy) ask(s Stream) (target, error) {
	if !p.asking.Take(maxAsking) {
		return target{}, errTooManyAsked
	}
	defer p.asking.Give()
	s.SetReadDeadline(time.Now().Add(askTimeout))
	defer s.SetReadDeadline(time.Time{})
	if err := readGreeting(s); err != nil {
		return target{}, err
	}
	return readRequest(s)
}

// reach connects to a target. A name is resolved here and once: what is dialled is an address that was found to
// be in one of the networks.
func (p *proxy) reach(ctx context.Context, to target) (net.Conn, error) {
	addresses := []netip.Addr{to.address}
	if !to.address.IsValid() {
		var err error
		if addresses, err = p.resolve(ctx, to.name); err != nil {
			return nil, err
		}
	}
	allowed := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return !p.allows(a) })
	if len(allowed) == 0 {
		return nil, errNotAllowed
	}
	allowed = allowed[:min(len(allowed), maxAddresses)]
	var err error
	for i, address := range allowed {
		var c net.Conn
		if c, err = p.try(ctx, address, to.port, len(allowed)-i); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// try dials one of several addresses that are left, in its part of the time.
func (p *proxy) try(ctx context.Context, address netip.Addr, port uint16, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return p.connect(ctx, "tcp", net.JoinHostPort(address.Unmap().String(), strconv.Itoa(int(port))))
}

// allows reports whether an address is in one of the networks. The unspecified one would be this machine.
func (p *proxy) allows(address netip.Addr) bool {
	address = address.Unmap()
	if address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
		return false
	}
	return slices.ContainsFunc(p.networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// codeOf tells the client why it cannot be connected.
func codeOf(err error) socksCode {
	switch _, unknown := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, errNotAllowed):
		return socksNotAllowed
	case errors.Is(err, syscall.ECONNREFUSED):
		return socksRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return socksNetworkUnreachable
	case unknown, errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, context.DeadlineExceeded):
		return socksHostUnreachable
	}
	return socksFailed
}
