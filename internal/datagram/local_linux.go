package datagram

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// oobSize is room for the control messages of both families.
const oobSize = 128

// TellLocal makes the system say to which address of this machine each datagram of a socket was sent, if it
// can. An answer must come from there, or the client's system drops it.
func TellLocal(conn net.PacketConn) {
	if _, ok := conn.(*net.UDPConn); !ok {
		return
	}
	ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true) // of a socket of IPv6, too: it may get IPv4
	ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true)
}

// localOf finds the address in control messages.
func localOf(oob []byte) (local netip.Addr) {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return local
		}
		oob = rest
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		}
	}
	return local
}

// From is the control message with which a datagram is sent from an address of this machine; nil: the system
// chooses one.
func From(local netip.Addr) []byte {
	switch {
	case !local.IsValid() || local.IsMulticast():
		return nil
	case local.Is4():
		return (&ipv4.ControlMessage{Src: local.AsSlice()}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: local.AsSlice()}).Marshal()
}
