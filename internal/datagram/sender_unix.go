//go:build unix

package datagram

import (
	"net/netip"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// attempt is a datagram that is being sent. They are reused, so that sending needs no memory.
type attempt struct {
	payload, control []byte
	to               unix.Sockaddr // ip4 or ip6
	ip4              unix.SockaddrInet4
	ip6              unix.SockaddrInet6
	err              error
	run              func(fd uintptr) bool // send
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.run = a.send
	return a
}}

func (s *Sender) try(payload, control []byte, to netip.AddrPort) error {
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	a.payload, a.control, a.err = payload, control, nil
	a.address(to, s.ip4)
	err := s.raw.Write(a.run)
	a.payload, a.control = nil, nil
	if err != nil {
		return err // closed
	}
	return a.err
}

func (a *attempt) address(to netip.AddrPort, ip4 bool) {
	if ip4 && to.Addr().Unmap().Is4() {
		a.ip4.Addr, a.ip4.Port, a.to = to.Addr().Unmap().As4(), int(to.Port()), &a.ip4
		return
	}
	a.ip6.Addr, a.ip6.Port, a.ip6.ZoneId, a.to = to.Addr().As16(), int(to.Port()), 0, &a.ip6
	if zone := to.Addr().Zone(); zone != "" {
		id, _ := strconv.ParseUint(zone, 10, 32) // a Reader writes it so
		a.ip6.ZoneId = uint32(id)
	}
}

// send reports true, so that nobody waits until the socket has room.
func (a *attempt) send(fd uintptr) bool {
	for {
		if _, err := unix.SendmsgN(int(fd), a.payload, a.control, a.to, 0); err != unix.EINTR {
			a.err = os.NewSyscallError("sendmsg", err)
			return true
		}
	}
}
