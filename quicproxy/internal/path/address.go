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

// IP is the IP address of a node or client, IPv4 in its own form; zero for what has none.
func IP(address net.Addr) netip.Addr {
	switch address := address.(type) {
	case *net.UDPAddr:
		return address.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return address.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Network is what one client can choose addresses from: a /64 in IPv6.
func Network(address netip.Addr) netip.Addr { return within(address, 64) }

// Customer is what one customer of a provider can choose addresses from: a /48 in IPv6.
func Customer(address netip.Addr) netip.Addr { return within(address, 48) }

func within(address netip.Addr, bits int) netip.Addr {
	if !address.Is6() {
		return address
	}
	prefix, _ := address.Prefix(bits)
	return prefix.Addr()
}
