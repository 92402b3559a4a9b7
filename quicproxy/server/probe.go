package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/path"
)

// probes is the part that a server takes in what nodes find out about their NATs. It sends nothing but to the
// IP address that a node's connection comes from, and no more than it receives.
type probes struct {
	transport *quic.Transport // set before there are connections

	mu   sync.Mutex
	open map[path.ProbeToken]*probe // of each connection one at most
}

type probe struct {
	conn *nodeConn
	from netip.AddrPort // where the last datagram came from; invalid: none has come
}

// begin gives a connection a token in the place of the one that it has.
func (p *probes) begin(c *nodeConn) path.ProbeToken {
	p.end(c)
	rand.Read(c.probe[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c.probe] = &probe{conn: c}
	return c.probe
}

// end forgets the token of a connection.
func (p *probes) end(c *nodeConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c.probe)
}

// came notes where a datagram came from and reports whether it is to be answered.
func (p *probes) came(token path.ProbeToken, from netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	probe := p.open[token]
	if probe == nil || siteOf(from) != siteOf(path.AddrPort(probe.conn.QUIC.RemoteAddr())) {
		return false
	}
	probe.from = from
	return true
}

// from is where the last datagram of a connection came from, if that may still be sent to.
func (p *probes) from(c *nodeConn) (netip.AddrPort, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	probe := p.open[c.probe]
	if probe == nil || !probe.from.IsValid() || siteOf(probe.from) != siteOf(path.AddrPort(c.QUIC.RemoteAddr())) {
		return netip.AddrPort{}, false
	}
	return probe.from, true
}

// answer returns probe datagrams as they came, until ctx ends or the transport is closed.
func (p *probes) answer(ctx context.Context) {
	for {
		var datagram [path.ProbeSize + 1]byte
		n, from, err := p.transport.ReadNonQUICPacket(ctx, datagram[:])
		if err != nil {
			return
		}
		if probe, ok := path.ParseProbe(datagram[:n]); ok && p.came(probe.Token, path.AddrPort(from)) {
			p.transport.WriteTo(datagram[:n], from)
		}
	}
}

// sendProbe has a datagram go where the last one of this connection came from.
func (c *nodeConn) sendProbe(envelope framing.Envelope) error {
	var request framing.ProbeSend
	if err := envelope.Decode(&request); err != nil {
		return err
	}
	p := &c.server.probes
	to, ok := p.from(c)
	if !ok {
		err := badRequest(errors.New("no probe datagram came from the address of this connection"))
		return c.Control.Reply(envelope, framing.OpFailure, failureMessage(err))
	}
	p.transport.WriteTo(path.Probe{Token: c.probe, Number: request.Number}.Datagram(), net.UDPAddrFromAddrPort(to))
	return c.Control.Reply(envelope, framing.OpProbeSent, &framing.ProbeSent{})
}

// siteOf is what the sockets of one machine share, seen from outside.
func siteOf(address netip.AddrPort) netip.Addr { return networkOf(address.Addr().Unmap()) }
