//go:build !linux

package datagram

import (
	"net"
	"net/netip"
)

const oobSize = 0

// TellLocal does nothing on this system.
func TellLocal(net.PacketConn) {}

func localOf([]byte) netip.Addr { return netip.Addr{} }

// From returns nil: the system chooses the address from which a datagram is sent.
func From(netip.Addr) []byte { return nil }
