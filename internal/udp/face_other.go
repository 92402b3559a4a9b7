//go:build !linux

package udp

import "net"

func newSocket(pc net.PacketConn) (*socket, error) { return newPlainSocket(pc), nil }

func newFace(c *Conn, s *socket) net.PacketConn { return newPlainFace(c, s) }

// copyOptions has nothing to do. The Conn remembers the sizes of the buffers, and without batches quic-go
// otherwise sets only the DF bit, for path MTU discovery, whose result does not survive a change of path
// anyway.
func copyOptions(to, from net.PacketConn) {}
