package udp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// options are those that quic-go sets, once, on the socket it is given.
var options = []struct{ level, name int }{
	{unix.IPPROTO_IP, unix.IP_RECVTOS},
	{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS},
	{unix.IPPROTO_IP, unix.IP_PKTINFO},
	{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO},
	{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER},
	{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER},
}

// buffers are the sizes that only a privileged process may set above the system's limit.
var buffers = []struct{ name, force int }{
	{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE},
	{unix.SO_SNDBUF, unix.SO_SNDBUFFORCE},
}

// copyOptions sets on a new socket what quic-go has set on an older one. Options that the sockets lack (those
// of IPv6 on an IPv4 socket) are skipped.
func copyOptions(to, from net.PacketConn) {
	control(from, func(from int) {
		control(to, func(to int) {
			for _, o := range options {
				if value, err := unix.GetsockoptInt(from, o.level, o.name); err == nil {
					unix.SetsockoptInt(to, o.level, o.name, value)
				}
			}
			for _, b := range buffers {
				copyBufferSize(to, from, b.name, b.force)
			}
		})
	})
}

// copyBufferSize halves what it reads, because the system reports twice what was set.
func copyBufferSize(to, from, name, force int) {
	want, err := unix.GetsockoptInt(from, unix.SOL_SOCKET, name)
	if err != nil {
		return
	}
	if is, err := unix.GetsockoptInt(to, unix.SOL_SOCKET, name); err == nil && is == want {
		return
	}
	if unix.SetsockoptInt(to, unix.SOL_SOCKET, force, want/2) != nil {
		unix.SetsockoptInt(to, unix.SOL_SOCKET, name, want/2)
	}
}

func control(pc net.PacketConn, f func(fd int)) {
	conn, ok := pc.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
