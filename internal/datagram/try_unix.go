//go:build unix

package datagram

import (
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	canTry = true
	// atOnce is how many datagrams one call of Read hands over at most.
	atOnce = 64
)

// try reads what is there. It reports false when there is nothing: then the runtime waits, without a buffer.
func (r *Reader) try(fd uintptr) bool {
	buffer := buffers.Get().(*[maxSize]byte)
	defer buffers.Put(buffer)
	for read := 0; read < atOnce; {
		n, oob, _, from, err := unix.Recvmsg(int(fd), buffer[:], r.oob, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return read > 0
		case err != nil:
			r.err = os.NewSyscallError("recvmsg", err)
			return true
		default:
			r.handle(buffer[:n], addrPort(from), localOf(r.oob[:oob]))
			read++
		}
	}
	return true
}

// addrPort is the address of a sender; the zero value if the socket is connected and the system does not say.
func addrPort(from unix.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *unix.SockaddrInet6:
		address := netip.AddrFrom16(from.Addr).Unmap()
		if from.ZoneId != 0 {
			address = address.WithZone(strconv.Itoa(int(from.ZoneId)))
		}
		return netip.AddrPortFrom(address, uint16(from.Port))
	}
	return netip.AddrPort{}
}

// try sends a datagram if there is room for it.
func try(fd uintptr, payload []byte) error {
	for {
		if _, err := unix.Write(int(fd), payload); err != unix.EINTR {
			return os.NewSyscallError("write", err)
		}
	}
}
