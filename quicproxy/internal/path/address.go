package path

import (
	"net"
	"net/netip"
)

// AddrPort returns the address of a node or client; invalid unless it is of UDP or TCP.
func AddrPort(address net.Addr) netip.AddrPort {
	switch address := address.(type) {
	case *net.UDPAddr:
		return address.AddrPort()
	case *net.TCPAddr:
		return address.AddrPort()
	}
	return netip.AddrPort{}
}

// Endpoint is AddrPort with IPv4 in its own form, for what counts by address: all that have none give the same.
func Endpoint(address net.Addr) netip.AddrPort {
	a := AddrPort(address)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
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
