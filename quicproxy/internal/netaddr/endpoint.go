package netaddr

import (
	"net"
	"net/netip"
)

// Endpoint returns the address of a node or client, with IPv4 in its own form; invalid unless it is of UDP or
// TCP.
func Endpoint(address net.Addr) netip.AddrPort {
	var a netip.AddrPort
	switch address := address.(type) {
	case *net.UDPAddr:
		a = address.AddrPort()
	case *net.TCPAddr:
		a = address.AddrPort()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
