package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
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
	// Networks are those that a proxy leads to.
	Networks []netip.Prefix
}

// Client is for whom an upstream is dialled.
type Client struct {
	// Address and Public are, as the server claims, ip:port of the client, and of the public endpoint that it
	// connected to. Both may be empty, or no addresses at all.
	Address, Public string
	// Stream is asked by a proxy where to connect the client.
	Stream Stream
}

// Upstream is what stands behind a service: something to dial, or a folder, which is served right here.
type Upstream struct {
	// Origin is its address in the one spelling of docs/protocol.md section 5.3.
	Origin string

	dial     dialer
	udp      dialer       // of flows; nil: there are none
	anywhere bool         // where that leads is up to the client
	folder   *folder      // instead of dial
	server   *http.Server // of the folder
	failing  atomic.Bool  // the last dial did not reach it

	datagramHeader bool // each datagram tells the upstream who its client is
}

// New returns what the settings mean. It does no I/O; dial connects later.
func New(s Settings, dial DialFunc) (*Upstream, error) {
	network, address, err := framing.ParseOrigin(s.Address)
	if err != nil {
		return nil, err
	}
	if err := s.check(network); err != nil {
		return nil, err
	}
	u := &Upstream{Origin: framing.FormatOrigin(network, address), datagramHeader: s.ProxyProtocol != 0}
	switch network {
	case "file":
		u.folder = &folder{path: address, listing: s.Listing}
		u.server = newServer(u.folder)
	case "socks5":
		u.dial, u.anywhere = newProxy(s.Networks, dial).dial, true
	case "http":
		u.dial = s.withHeader(to(dial, "tcp", address))
	case "https":
		u.dial, err = withTLS(address, s, s.withHeader(to(dial, "tcp", address)))
	case "udp":
		u.udp = to(dial, "udp", address)
	case "tcp+udp":
		u.dial, u.udp = s.withHeader(to(dial, "tcp", address)), to(dial, "udp", address)
	default:
		u.dial = s.withHeader(to(dial, network, address))
	}
	return u, err
}

// check checks that each option is one of this kind of upstream.
func (s Settings) check(network string) error {
	switch {
	case s.ProxyProtocol < 0 || s.ProxyProtocol > 2:
		return fmt.Errorf("the version of the PROXY protocol is 1 or 2, not %d", s.ProxyProtocol)
	case s.ProxyProtocol == 1 && (network == "udp" || network == "tcp+udp"):
		return errors.New("over UDP the PROXY protocol has version 2 only")
	case s.ProxyProtocol != 0 && (network == "file" || network == "socks5"):
		return errors.New("the PROXY protocol is for services of other programs")
	case s.CA+s.Pin != "" && network != "https":
		return errors.New("a certificate is only checked of an https:// upstream")
	case s.CA != "" && s.Pin != "":
		return errors.New("a certificate is checked by an authority or by its pin, not by both")
	case s.Listing && network != "file":
		return errors.New("only a folder can be listed")
	case network == "socks5" && len(s.Networks) == 0:
		return errors.New("a proxy needs the networks that it leads to")
	case network != "socks5" && len(s.Networks) > 0:
		return errors.New("only a proxy leads to networks")
	}
	return nil
}

// to connects to one address.
func to(dial DialFunc, network, address string) dialer {
	return func(ctx context.Context, _ Client) (net.Conn, error) { return dial(ctx, network, address) }
}

// withHeader has the connections of dial begin with the header that the settings ask for.
func (s Settings) withHeader(dial dialer) dialer {
	if s.ProxyProtocol == 0 {
		return dial
	}
	return withProxyHeader(byte(s.ProxyProtocol), dial)
}

// Dial connects for a client; Refuse is for its errors.
func (u *Upstream) Dial(ctx context.Context, client Client) (net.Conn, error) {
	if u.dial == nil || u.anywhere && client.Stream == nil {
		return nil, fmt.Errorf("%s takes no connections of this kind", u.Origin)
	}
	return u.dial(ctx, client)
}

// Asks reports whether Dial asks the client, over its stream, where to connect it.
func (u *Upstream) Asks() bool { return u.anywhere }

// Serves reports whether the upstream is served with Serve, rather than dialled.
func (u *Upstream) Serves() bool { return u.folder != nil }

// Serve answers the requests of a client on its connection, until that is closed.
func (u *Upstream) Serve(c net.Conn) { serveOne(u.server, c) }

// Check returns why the upstream cannot be reached now. A nil Upstream always can: the program serves clients itself.
func (u *Upstream) Check(ctx context.Context) error {
	switch {
	case u == nil:
		return nil
	case u.folder != nil:
		return u.folder.check()
	case u.anywhere, u.dial == nil: // over UDP nobody answers without being asked something
		return nil
	}
	c, err := u.dial(ctx, Client{})
	if err != nil {
		return err
	}
	return c.Close()
}

// IsNews notes how a dial ended, and reports whether the one before ended otherwise.
func (u *Upstream) IsNews(err error) bool {
	if u.anywhere || errors.Is(err, context.Canceled) {
		return false // it is about the client; or that left meanwhile
	}
	failed := err != nil
	return u.failing.Swap(failed) != failed
}
