package upstream

import (
	"context"
	"net"
)

// HasUDP reports whether the upstream is reached over UDP, and HasStreams whether it takes connections.
func (u *Upstream) HasUDP() bool     { return u.udp != nil }
func (u *Upstream) HasStreams() bool { return u.dial != nil || u.folder != nil }

// DialUDP returns a socket that is connected to the upstream, and what each datagram to it has to begin with.
func (u *Upstream) DialUDP(ctx context.Context, client Client) (socket net.Conn, prefix []byte, err error) {
	if u.datagramHeader {
		if prefix, err = proxyHeader(2, client, udpAddress); err != nil {
			return nil, nil, err
		}
	}
	socket, err = u.udp(ctx, client)
	return socket, prefix, err
}
