//go:build unix

package load

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// ethernetSegment is how much a TCP segment carries on the internet. On loopback it is 64 KB, by which the
// kernel sizes the send buffer of the other side: a thousand stalled readers would use up all memory that it
// has for TCP, whatever the tunnel does.
const ethernetSegment = 1448

// smallSocket makes a socket that is about to connect like one of a client on the internet that holds little.
func smallSocket(_, _ string, c syscall.RawConn) error {
	var fault error
	err := c.Control(func(fd uintptr) {
		fault = errors.Join(
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, ethernetSegment),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, smallBuffer))
	})
	return errors.Join(err, fault)
}
