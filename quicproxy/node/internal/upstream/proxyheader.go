package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// withProxyHeader has every connection of dial begin with a header of the PROXY protocol
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), before any byte of the client.
func withProxyHeader(version byte, dial dialer) dialer {
	return func(ctx context.Context, client Client) (net.Conn, error) {
		header, err := proxyHeader(version, client, tcpAddress)
		if err != nil {
			return nil, err
		}
		c, err := dial(ctx, client)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline() // none: it is small, and the first in an empty socket
		c.SetWriteDeadline(deadline)
		if _, err := c.Write(header); err != nil {
			c.Close()
			return nil, fmt.Errorf("sending the PROXY protocol header: %w", err)
		}
		c.SetWriteDeadline(time.Time{})
		return c, nil
	}
}

// proxyHeader says who the client is, or that it is not known: then the upstream sees the node. The address of
// each end says over which transport it comes.
func proxyHeader(version byte, client Client, transport func(netip.AddrPort) net.Addr) ([]byte, error) {
	var from, to net.Addr
	if address, err := netip.ParseAddrPort(client.Address); err == nil {
		if public, err := netip.ParseAddrPort(client.Public); err == nil {
			from, to = transport(withoutZone(address)), transport(withoutZone(public))
		}
	}
	return proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
}

func tcpAddress(a netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(a) }
func udpAddress(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }

// withoutZone is an address without its zone, which means nothing elsewhere.
func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
