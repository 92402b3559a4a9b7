package upstream

import (
	"context"
	"net"
)

// HasUDP reports whether the upstream is reached over UDP, and HasStreams whether it takes connections.
func (u *Upstream) HasUDP() bool     { return u.udp != nil }
func (u *Upstream) HasStreams() bool { return u.dial != nil || u.folder != nil }

// DialUDP returns a socket that is connected to the upstream.
func (u *Upstream) DialUDP(ctx context.Context) (net.Conn, error) { return u.udp(ctx, Client{}) }
