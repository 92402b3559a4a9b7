package keepalive

import "net/netip"

// challengeSize is the least size of the datagram that a server sends to an address that is new to it
// (RFC 9000 section 8.2.1). Nothing else in an exchange of Keepalives is so large.
const challengeSize = 1200

// Path identifies the network path of a connection's packets. Equal values are the same path.
type Path struct {
	observed netip.AddrPort // where the server sees the connection come from; invalid: it did not say
	source   netip.Addr     // of this machine
	sockets  uint64
	network  string // names the machine's present network; empty: unknown
}

// NewPath takes the address observed by the server, in its spelling, the local address that packets are sent
// from, and how many sockets the connection has replaced: a new socket has a new mapping, although none was
// lost.
func NewPath(observed string, source netip.Addr, sockets uint64) Path {
	address, err := netip.ParseAddrPort(observed)
	if err != nil {
		return Path{source: source, sockets: sockets}
	}
	address = netip.AddrPortFrom(address.Addr().Unmap().WithZone(""), address.Port())
	return Path{observed: address, source: source, sockets: sockets, network: network(address.Addr(), source)}
}

// network names a network by the addresses of a machine in it, as seen from outside and inside. An outside
// IPv6 address stands for its /64, in which a machine chooses new addresses by itself (RFC 8981).
func network(outside, inside netip.Addr) string {
	if outside.Is6() {
		prefix, _ := outside.Prefix(64)
		outside = prefix.Addr()
	}
	return outside.String() + " " + inside.String()
}
