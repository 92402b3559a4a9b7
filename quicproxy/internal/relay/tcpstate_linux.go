package relay

import "golang.org/x/sys/unix"

// wasReset tells a reset from a FIN after a read found the end. A socket tells of a reset once: when a
// write that waits at the same time takes the error, the read sees only the end, and a reset would go on
// as a FIN. After the peer's FIN alone the socket has a state of its own; after a reset it is closed.
func wasReset(fd uintptr) bool {
	const tcpClose = 7 // TCP_CLOSE in the kernel's include/net/tcp_states.h
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State == tcpClose // err: not a TCP socket
}
