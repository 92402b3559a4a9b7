package path

import (
	"net"
	"net/netip"
)

// AddrPort is invalid for an address that is not of UDP.
func AddrPort(address net.Addr) netip.AddrPort {
	if udp, ok := address.(*net.UDPAddr); ok {
		return udp.AddrPort()
	}
	return netip.AddrPort{}
}
