// Package probes is the server's part in what nodes learn about their NATs (docs/protocol.md section 5.9). It
// must send only to the IP address that a node's connection comes from, and no more than it receives.
package probes

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/path"
)

// Probes are those of all connections of a server.
type Probes struct {
	mu        sync.Mutex
	transport *quic.Transport                // nil: the server is not running
	open      map[path.ProbeToken]*probe     // at most one of each connection
	tokens    map[*quic.Conn]path.ProbeToken // the same, by connection
}

type probe struct {
	conn *quic.Conn
	from netip.AddrPort // where the last datagram came from; invalid: none has come
}

// New returns Probes without any.
func New() *Probes {
	return &Probes{open: make(map[path.ProbeToken]*probe), tokens: make(map[*quic.Conn]path.ProbeToken)}
}

// Begin gives a connection a new token in place of its old one.
func (p *Probes) Begin(conn *quic.Conn) (token path.ProbeToken) {
	p.End(conn)
	rand.Read(token[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[token], p.tokens[conn] = &probe{conn: conn}, token
	return token
}

// End forgets the token of a connection.
func (p *Probes) End(conn *quic.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, p.tokens[conn])
	delete(p.tokens, conn)
}

// Send sends a datagram to where the last one of a connection came from. It reports false if none came from
// the address of the connection.
func (p *Probes) Send(conn *quic.Conn, number uint32) bool {
	p.mu.Lock()
	token := p.tokens[conn]
	probe, transport := p.open[token], p.transport
	ok := probe != nil && probe.from.IsValid() && siteOf(probe.from) == siteOf(netaddr.Endpoint(conn.RemoteAddr()))
	var to netip.AddrPort
	if ok {
		to = probe.from
	}
	p.mu.Unlock()
	if !ok || transport == nil {
		return false
	}
	transport.WriteTo(path.Probe{Token: token, Number: number}.Datagram(), net.UDPAddrFromAddrPort(to))
	return true
}

// Answer returns probe datagrams to where they came from, until ctx ends or the transport is closed.
func (p *Probes) Answer(ctx context.Context, transport *quic.Transport) {
	p.mu.Lock()
	p.transport = transport
	p.mu.Unlock()
	for {
		var datagram [64]byte // a Probe is shorter
		n, from, err := transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if probe, ok := path.ParseProbe(datagram[:n]); ok && p.came(probe.Token, netaddr.Endpoint(from)) {
			transport.WriteTo(datagram[:n], from)
		}
	}
}

// came notes where a datagram came from, and reports whether to answer it.
func (p *Probes) came(token path.ProbeToken, from netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	probe := p.open[token]
	if probe == nil || siteOf(from) != siteOf(netaddr.Endpoint(probe.conn.RemoteAddr())) {
		return false
	}
	probe.from = from
	return true
}

// siteOf returns what the sockets of one machine have in common, seen from outside.
func siteOf(address netip.AddrPort) netip.Prefix { return netaddr.Smallest(address.Addr()) }

// Len returns how many connections have a token.
func (p *Probes) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}
