package keepalive

import "net/netip"

// Path is the way that the packets of a connection take. Two that are equal are the same path.
type Path struct {
	observed netip.AddrPort // where the server sees the connection come from; invalid: it did not say
	source   netip.Addr     // of this machine
	sockets  uint64
	network  string // names the network that the machine is in; empty: it is not known
}

// NewPath takes the address that the server has observed, as it says it, the address of this machine that packets leave
// from, and how many sockets the connection has left behind: a new socket has another mapping, though none was lost.
func NewPath(observed string, source netip.Addr, sockets uint64) Path {
	address, err := netip.ParseAddrPort(observed)
	if err != nil {
		return Path{source: source, sockets: sockets}
	}
	address = netip.AddrPortFrom(address.Addr().Unmap().WithZone(""), address.Port())
	return Path{observed: address, source: source, sockets: sockets, network: network(address.Addr(), source)}
}

// network names a network by the addresses of a machine in it, as seen from outside and inside. Outside an address of IPv6
// stands for its /64, in which a machine takes new addresses by itself (RFC 8981).
func network(outside, inside netip.Addr) string {
	if outside.Is6() {
		prefix, _ := outside.Prefix(64)
		outside = prefix.Addr()
	}
	return outside.String() + " " + inside.String()
}
