package quicproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// Limits for handshakes. Each costs the server about 40 KB and 0.8 ms before anything is known of the
// client, and QUIC has no limit of its own (quic-go issues 3549, 4359).
const (
	// Above these, clients must first show that they receive at their address (Retry, RFC 9000 section
	// 8.1.2): a flood from forged addresses then costs nothing.
	retryAboveOpen  = 256
	retryAboveRate  = 256 // per second
	retryAboveBurst = 512
	// maxOpen is the number of handshakes at once, whoever makes them, maxOpenPerAddress that of one address.
	maxOpen           = 4096
	maxOpenPerAddress = 512
	// One address may be a whole village behind one NAT that comes back after a restart of the server.
	addressRate  = 128 // per second
	addressBurst = 1024
	maxAddresses = 1 << 14
)

var errHandshakeLimit = errors.New("too many handshakes")

type handshakeKey struct{}

// handshakeGuard limits handshakes per address and in all.
type handshakeGuard struct {
	arrivals *rate.Limiter

	mu        sync.Mutex
	open      int
	addresses map[netip.Addr]*source
}

// source is an address, or a network, that handshakes come from.
type source struct {
	limiter *rate.Limiter
	open    int
}

func newHandshakeGuard() *handshakeGuard {
	return &handshakeGuard{
		arrivals:  rate.NewLimiter(retryAboveRate, retryAboveBurst),
		addresses: make(map[netip.Addr]*source),
	}
}

// needsRetry is for quic.Transport.VerifySourceAddress.
func (g *handshakeGuard) needsRetry(net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.arrivals.Allow() || g.open > retryAboveOpen
}

// begin is for quic.Transport.ConnContext: it refuses a handshake or counts it until it ends.
func (g *handshakeGuard) begin(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.sourceLocked(client.RemoteAddr)
	if g.open >= maxOpen || from == nil || from.open >= maxOpenPerAddress || !from.limiter.Allow() {
		return nil, errHandshakeLimit
	}
	g.open++
	from.open++
	ended := sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open--
		from.open--
	})
	ctx = context.WithValue(ctx, handshakeKey{}, ended)
	context.AfterFunc(ctx, ended) // the handshake failed
	return ctx, nil
}

// done ends the handshake of a connection with this context.
func (g *handshakeGuard) done(ctx context.Context) {
	if ended, ok := ctx.Value(handshakeKey{}).(func()); ok {
		ended()
	}
}

// sourceLocked is nil when there are too many addresses to remember.
func (g *handshakeGuard) sourceLocked(addr net.Addr) *source {
	var key netip.Addr // one for all that are not UDP
	if udp, ok := addr.(*net.UDPAddr); ok {
		key = networkOf(udp.AddrPort().Addr().Unmap())
	}
	if from := g.addresses[key]; from != nil {
		return from
	}
	if len(g.addresses) >= maxAddresses {
		g.forgetIdleLocked()
	}
	if len(g.addresses) >= maxAddresses {
		return nil
	}
	from := &source{limiter: rate.NewLimiter(addressRate, addressBurst)}
	g.addresses[key] = from
	return from
}

// forgetIdleLocked drops the addresses that have no handshake open and their full burst again.
func (g *handshakeGuard) forgetIdleLocked() {
	now := time.Now()
	for key, from := range g.addresses {
		if from.open == 0 && from.limiter.TokensAt(now) >= addressBurst {
			delete(g.addresses, key)
		}
	}
}

// networkOf is what one client can choose addresses from: a /64 in IPv6.
func networkOf(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		prefix, _ := addr.Prefix(64)
		return prefix.Addr()
	}
	return addr
}
