package datagram

import (
	"net"
	"net/netip"
	"syscall"
)

// Sender writes to anybody over a socket that is not connected, and never waits for it. Any goroutine may use it.
type Sender struct {
	conn net.PacketConn
	raw  syscall.RawConn // nil: not a socket of the system that can be tried
	ip4  bool            // it has no addresses but those of IPv4
}

// NewSender returns a Sender of a socket.
func NewSender(conn net.PacketConn) *Sender {
	s := &Sender{conn: conn}
	udp, ok := conn.(*net.UDPConn)
	if !ok || !canTry {
		return s
	}
	s.raw, _ = udp.SyscallConn()
	if local, ok := udp.LocalAddr().(*net.UDPAddr); ok {
		s.ip4 = local.IP.To4() != nil
	}
	return s
}

// Send sends a datagram, from an address if control is what From returned for it.
func (s *Sender) Send(payload, control []byte, to netip.AddrPort) error {
	if s.raw != nil {
		return s.try(payload, control, to)
	}
	if udp, ok := s.conn.(*net.UDPConn); ok {
		_, _, err := udp.WriteMsgUDPAddrPort(payload, control, to)
		return err
	}
	_, err := s.conn.WriteTo(payload, net.UDPAddrFromAddrPort(to))
	return err
}
