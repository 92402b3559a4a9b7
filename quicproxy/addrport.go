package quicproxy

import (
	"net"
	"net/netip"
)

// addrPort is invalid for an address that is not of UDP.
func addrPort(address net.Addr) netip.AddrPort {
	if udp, ok := address.(*net.UDPAddr); ok {
		return udp.AddrPort()
	}
	return netip.AddrPort{}
}
