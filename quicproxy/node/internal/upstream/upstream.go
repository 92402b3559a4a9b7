package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	// Listing has a folder without index.html show what is in it.
	Listing bool
}

// Client is for whom an upstream is dialled, as the server claims it: ip:port of the client, and of the
// public endpoint that it connected to. Both may be empty, or no addresses at all.
type Client struct{ Address, Public string }

// Upstream is what stands behind a service: something to dial, or a folder, which is served right here.
type Upstream struct {
	// Origin is its address in the one spelling of docs/protocol.md section 5.3.
	Origin string

	dial    dialer
	folder  *folder      // instead
	server  *http.Server // of the folder
	failing atomic.Bool  // the last dial did not reach it
}

// New returns what the settings mean. It does no I/O; dial connects later.
func New(s Settings, dial DialFunc) (*Upstream, error) {
	network, address, err := framing.ParseOrigin(s.Address)
	if err != nil {
		return nil, err
	}
	u := &Upstream{Origin: framing.FormatOrigin(network, address)}
	if network == "file" {
		if s.ProxyProtocol != 0 || s.CA+s.Pin != "" {
			return nil, errors.New("a folder knows its clients, and has no certificate")
		}
		u.folder = &folder{path: address, listing: s.Listing}
		u.server = newServer(u.folder)
		return u, nil
	}
	if s.Listing {
		return nil, errors.New("only a folder can be listed")
	}
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

// Serves reports whether the upstream is served with Serve, rather than dialled.
func (u *Upstream) Serves() bool { return u.folder != nil }

// Serve answers the requests of a client on its connection, until that is closed.
func (u *Upstream) Serve(c net.Conn) { serveOne(u.server, c) }

// Check returns why the upstream cannot be reached now.
func (u *Upstream) Check(ctx context.Context) error {
	if u.folder != nil {
		return u.folder.check()
	}
	c, err := u.dial(ctx, Client{})
	if err != nil {
		return err
	}
	return c.Close()
}

// IsNews notes how a dial ended, and reports whether the one before ended otherwise.
func (u *Upstream) IsNews(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the client left meanwhile
	}
	failed := err != nil
	return u.failing.Swap(failed) != failed
}
