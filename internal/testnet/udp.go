package testnet

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// maxDatagram is the UDP payload that an Ethernet frame holds over IPv4. Larger packets are lost.
const maxDatagram = 1472

// socket is a UDP socket: simnet's PacketConn, whose packets go through the hosts and NATs of the network,
// and a simnet link that holds packets in flight to it. A socket whose owner does not read loses nothing,
// because the link keeps it.
type socket struct {
	*simnet.SimConn
	host   *Host
	port   uint16
	number uint64
	link   *simnet.SimulatedLink

	sent uint64 // guarded by host.network.mu
}

// ListenUDP opens a socket bound to the wildcard address; port 0 chooses a free one. A port in use is
// syscall.EADDRINUSE.
func (h *Host) ListenUDP(port uint16) (net.PacketConn, error) {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	used := func(port uint16) bool { return h.sockets[port] != nil }
	var err error
	if port == 0 {
		port, err = h.ports.next(used)
	} else if used(port) {
		err = syscall.EADDRINUSE
	}
	local := &net.UDPAddr{IP: net.IPv6unspecified, Port: int(port)}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Addr: local, Err: os.NewSyscallError("bind", err)}
	}
	n.sockets++
	s := &socket{host: h, port: port, number: n.sockets}
	s.SimConn = simnet.NewBlockingSimConn(local, s)
	s.link = &simnet.SimulatedLink{
		DownlinkSettings: simnet.LinkSettings{MTU: maxDatagram},
		LatencyFunc:      func(simnet.Packet) time.Duration { return time.Duration(n.latency.Load()) },
	}
	s.link.AddNode(local, s)
	s.link.Start()
	h.sockets[port] = s
	n.open[s] = struct{}{}
	return s, nil
}

// AddNode is part of simnet.Router; the socket receives from its link instead.
func (s *socket) AddNode(net.Addr, simnet.PacketReceiver) {}

// SendPacket sends a packet for the owner of the socket. Like the real network it does not report lost
// packets.
func (s *socket) SendPacket(p simnet.Packet) error {
	udp, ok := p.To.(*net.UDPAddr)
	if !ok {
		return s.fail("write", &net.AddrError{Err: "not a UDP address", Addr: p.To.String()})
	}
	to := netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), uint16(udp.Port))
	n := s.host.network
	n.mu.Lock()
	from, destination := s.routeLocked(to)
	lost := s.lostLocked()
	n.mu.Unlock()
	if destination != nil && !lost {
		p.From, p.To = net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to)
		destination.link.RecvPacket(p)
	}
	return nil
}

// routeLocked finds the socket that a packet to this address reaches, and the source that it sees.
func (s *socket) routeLocked(to netip.AddrPort) (from netip.AddrPort, destination *socket) {
	h, n := s.host, s.host.network
	if h.cut {
		return from, nil
	}
	from = netip.AddrPortFrom(h.ip, s.port)
	host, out := h.findLocked(to.Addr())
	if out != nil {
		if out.cut {
			return from, nil
		}
		from = out.outboundLocked(flow{inside: from, remote: to})
	}
	if host != nil {
		return from, host.sockets[to.Port()]
	}
	if nat := n.nats[to.Addr()]; nat != nil {
		return from, nat.inboundLocked(from, to)
	}
	return from, nil
}

func (s *socket) lostLocked() bool {
	n := s.host.network
	s.sent++
	return n.loss > 0 && rand.New(rand.NewPCG(n.seed, s.number<<32+s.sent)).Float64() < n.loss
}

// RecvPacket takes an arrived packet from the link. Addresses and mappings may have changed while it was in
// flight.
func (s *socket) RecvPacket(p simnet.Packet) {
	h := s.host
	from, to := p.From.(*net.UDPAddr).AddrPort(), p.To.(*net.UDPAddr).AddrPort()
	h.network.mu.Lock()
	direct := to == netip.AddrPortFrom(h.ip, s.port)
	reached := !h.cut && (direct || h.nat != nil && h.nat.inboundLocked(from, to) == s)
	if reached && !direct {
		h.nat.arrivedLocked(to.Port())
	}
	h.network.mu.Unlock()
	if reached {
		s.SimConn.RecvPacket(p)
	}
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := s.SimConn.ReadFrom(b)
	return n, from, s.fail("read", err)
}

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := s.SimConn.WriteTo(b, to)
	return n, s.fail("write", err)
}

// Close closes the socket. What was sent before is still delivered.
func (s *socket) Close() error {
	n := s.host.network
	n.mu.Lock()
	_, open := n.open[s]
	if open {
		delete(n.open, s)
		delete(s.host.sockets, s.port)
	}
	n.mu.Unlock()
	if !open {
		return s.fail("close", net.ErrClosed)
	}
	s.SimConn.Close() // first: the link may be waiting for a reader
	return s.link.Close()
}

// fail gives simnet's errors the form of package net's.
func (s *socket) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*net.OpError](err); done {
		return err
	}
	if errors.Is(err, simnet.ErrDeadlineExceeded) {
		err = os.ErrDeadlineExceeded
	}
	return &net.OpError{Op: op, Net: "udp", Source: s.LocalAddr(), Err: err}
}
