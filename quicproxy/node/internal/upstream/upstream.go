package upstream

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"apquic/framing"
)

// DialFunc is net.Dialer.DialContext, or does what it does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Client is for whom an upstream is dialled, as the server claims it: ip:port of the client, and of the
// public endpoint that it connected to. Both may be empty, or no addresses at all.
type Client struct{ Address, Public string }

// Upstream is what stands behind a service.
type Upstream struct {
	// Origin is its address in the one spelling of docs/protocol.md section 5.3.
	Origin string

	dial    func(context.Context, Client) (net.Conn, error)
	failing atomic.Bool // the last dial did not reach it
}

// New returns what the address of a service means. It does no I/O; dial connects later.
func New(address string, dial DialFunc) (*Upstream, error) {
	network, address, err := framing.ParseOrigin(address)
	if err != nil {
		return nil, err
	}
	return &Upstream{
		Origin: framing.FormatOrigin(network, address),
		dial:   func(ctx context.Context, _ Client) (net.Conn, error) { return dial(ctx, network, address) },
	}, nil
}

// Dial connects for a client.
func (u *Upstream) Dial(ctx context.Context, client Client) (net.Conn, error) {
	return u.dial(ctx, client)
}

// IsNews notes how a dial ended, and reports whether the one before ended otherwise.
func (u *Upstream) IsNews(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the client left meanwhile
	}
	failed := err != nil
	return u.failing.Swap(failed) != failed
}
