package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"apquic/framing"
)

// DialFunc is net.Dialer.DialContext, or does what it does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer connects to one upstream.
type dialer func(context.Context, Client) (net.Conn, error)

// Settings are what the owner of a node says about a service.
type Settings struct {
	// Address is where it listens (docs/protocol.md section 5.3).
	Address string
	// ProxyProtocol is the version of the PROXY protocol header that tells the upstream who its client is; 0:
	// none.
	ProxyProtocol int
	// CA is a file with the authorities, in PEM, that may certify an https:// upstream, instead of the system's.
	// Pin is the SHA-256 of its certificate, in hexadecimal, instead of any authority.
	CA, Pin string
}

// Client is for whom an upstream is dialled, as the server claims it: ip:port of the client, and of the
// public endpoint that it connected to. Both may be empty, or no addresses at all.
type Client struct{ Address, Public string }

// Upstream is what stands behind a service.
type Upstream struct {
	// Origin is its address in the one spelling of docs/protocol.md section 5.3.
	Origin string

	dial    dialer
	failing atomic.Bool // the last dial did not reach it
}

// New returns what the settings mean. It does no I/O; dial connects later.
func New(s Settings, dial DialFunc) (*Upstream, error) {
	network, address, err := framing.ParseOrigin(s.Address)
	if err != nil {
		return nil, err
	}
	u := &Upstream{Origin: framing.FormatOrigin(network, address)}
	over := network // what the connection is made over
	if network == "http" || network == "https" {
		over = "tcp"
	}
	u.dial = func(ctx context.Context, _ Client) (net.Conn, error) { return dial(ctx, over, address) }
	switch s.ProxyProtocol {
	case 0:
	case 1, 2:
		u.dial = withProxyHeader(byte(s.ProxyProtocol), u.dial)
	default:
		return nil, fmt.Errorf("the version of the PROXY protocol is 1 or 2, not %d", s.ProxyProtocol)
	}
	switch {
	case network == "https":
		u.dial, err = withTLS(address, s, u.dial)
	case s.CA != "" || s.Pin != "":
		err = errors.New("a certificate is only checked of an https:// upstream")
	}
	return u, err
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
