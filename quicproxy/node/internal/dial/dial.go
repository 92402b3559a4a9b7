package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/wait"
)

const (
	resolveTimeout = 10 * time.Second
	// HandshakeTimeout allows for mobile links, which can be slow to wake.
	HandshakeTimeout = 8 * time.Second
	// A server with several addresses is tried at all of them, this far apart (RFC 8305 section 5).
	dialStagger = 250 * time.Millisecond
	maxDialed   = 4
)

// Dialer connects to a server.
type Dialer struct {
	address     string // host:port
	resolve     func(ctx context.Context, host string) ([]netip.Addr, error)
	idleTimeout time.Duration
}

// New returns a Dialer of the server at address, whose name resolve looks up.
func New(address string, resolve func(ctx context.Context, host string) ([]netip.Addr, error), idleTimeout time.Duration) *Dialer {
	return &Dialer{address: address, resolve: resolve, idleTimeout: idleTimeout}
}

// Dial resolves the server's name, connects to the address that answers first, and makes it prove what
// tlsConfig requires.
func (d *Dialer) Dial(ctx context.Context, transport *quic.Transport, tlsConfig *tls.Config, timeout time.Duration) (*quic.Conn, error) {
	addresses, err := d.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		dials sync.WaitGroup
		mu    sync.Mutex
		won   *quic.Conn
		errs  error
	)
	for i, to := range addresses {
		dials.Go(func() {
			wait.Sleep(ctx, time.Duration(i)*dialStagger)
			config := quicconfig.Node(d.idleTimeout, timeout, to.Addr().Is6())
			dialed, err := transport.Dial(ctx, net.UDPAddrFromAddrPort(to), tlsConfig, config)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isIdleTimeout(err):
				errs = errors.Join(errs, &quic.HandshakeTimeoutError{}) // nothing came at all
			case err != nil:
				errs = errors.Join(errs, err)
			case won != nil:
				dialed.CloseWithError(0, "another address answered first")
			default:
				won = dialed
				cancel()
			}
		})
	}
	dials.Wait()
	if won == nil {
		return nil, errs
	}
	return won, nil
}

func isIdleTimeout(err error) bool {
	_, ok := errors.AsType[*quic.IdleTimeoutError](err)
	return ok
}

// lookUp resolves the server's name again at every dial: it may have moved. The address families alternate.
func (d *Dialer) lookUp(ctx context.Context) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(d.address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the server's port %q is not a number", port)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(number))}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	ips, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var first, second []netip.AddrPort // of the resolver's preferred family, and of the other
	for _, ip := range ips {
		address := netip.AddrPortFrom(ip.Unmap(), uint16(number))
		if len(first) == 0 || first[0].Addr().Is6() == address.Addr().Is6() {
			first = append(first, address)
		} else {
			second = append(second, address)
		}
	}
	var addresses []netip.AddrPort
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			addresses = append(addresses, first[i])
		}
		if i < len(second) {
			addresses = append(addresses, second[i])
		}
	}
	if len(addresses) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addresses[:min(len(addresses), maxDialed)], nil
}
