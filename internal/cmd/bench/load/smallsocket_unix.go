//go:build unix

package load

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// ethernetSegment is how much a TCP segment carries on the internet. On loopback it is 64 KB, from which the
// kernel sizes the peer's send buffer: a thousand stalled readers would use up all its TCP memory, whatever
// the tunnel does.
const ethernetSegment = 1448

// smallSocket makes a connecting socket behave like an internet client's with small buffers.
func smallSocket(_, _ string, c syscall.RawConn) error {
	var fault error
	err := c.Control(func(fd uintptr) {
		fault = errors.Join(
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, ethernetSegment),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, smallBuffer))
	})
	return errors.Join(err, fault)
}
