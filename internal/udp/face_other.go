//go:build !linux

package udp

import "net"

func newSocket(pc net.PacketConn) (*socket, error) { return newPlainSocket(pc), nil }

func newFace(c *Conn, s *socket) net.PacketConn { return newPlainFace(c, s) }

// copyOptions has nothing to do but for the sizes of the buffers, which the Conn remembers: without batches
// quic-go sets only the DF bit besides, for a search for the MTU that does not survive a change of path anyway.
func copyOptions(to, from net.PacketConn) {}
