package udp

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many messages one system call receives. Each may have dozens of datagrams, so more
	// would only use more memory; with many senders at once it still saves most of the calls.
	batchSize = 4
	// messageSize is the most that the system puts into one message.
	messageSize = 64 << 10
)

// arena is the memory of a batch. A socket has one only while it has data. Fields without pointers come last,
// where the garbage collector does not look.
type arena struct {
	batch
	headers  [batchSize]header
	vectors  [batchSize]unix.Iovec
	received [batchSize]message
	controls [batchSize][256]byte // aligned by the fields before
	names    [batchSize]name
	data     [batchSize][messageSize]byte
}

// header is the system's struct mmsghdr.
type header struct {
	unix.Msghdr
	length uint32
}

// name is an address in the system's form: a sockaddr_in or a sockaddr_in6.
type name [unix.SizeofSockaddrInet6]byte

var arenas sync.Pool

func newArena() *arena {
	if a, ok := arenas.Get().(*arena); ok {
		return a
	}
	a := new(arena)
	a.recycle = func() { arenas.Put(a) }
	for i := range a.headers {
		a.vectors[i].Base = &a.data[i][0]
		a.vectors[i].SetLen(messageSize)
		h := &a.headers[i]
		h.Name, h.Control, h.Iov = &a.names[i][0], &a.controls[i][0], &a.vectors[i]
		h.SetIovlen(1)
	}
	return a
}

// receiver receives from a socket.
type receiver struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) bool

	// The result of the last attempt.
	batch *batch
	err   error

	// The last sender, since most sockets have only one. quic-go does not change addresses.
	name name
	from *net.UDPAddr
}

// newReceiver turns on UDP_GRO. A system without it (before Linux 5.0) returns each datagram as a message.
func newReceiver(raw syscall.RawConn) *receiver {
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	r := &receiver{raw: raw}
	r.attempt = r.try
	return r
}

func (r *receiver) receive() (*batch, error) {
	if err := r.raw.Read(r.attempt); err != nil {
		return nil, err
	}
	b, err := r.batch, r.err
	r.batch, r.err = nil, nil
	return b, err
}

// try reports false when there is nothing to receive yet.
func (r *receiver) try(fd uintptr) bool {
	a := newArena()
	n, err := a.receive(fd)
	if err != nil {
		a.release()
		if err == unix.EAGAIN {
			return false
		}
		r.err = os.NewSyscallError("recvmmsg", err)
		return true
	}
	for i := range n {
		a.received[i] = a.message(i)
		a.received[i].from = r.sender(&a.names[i])
	}
	a.messages = a.received[:n]
	r.batch = &a.batch
	return true
}

func (a *arena) receive(fd uintptr) (int, error) {
	for i := range a.headers {
		h := &a.headers[i]
		h.Namelen = uint32(len(a.names[i]))
		h.SetControllen(len(a.controls[i]))
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&a.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// message takes the size of the datagrams from the control messages; the others are for quic-go.
func (a *arena) message(i int) message {
	h := &a.headers[i]
	m := message{data: a.data[i][:h.length]}
	rest := a.controls[i][:h.Controllen]
	m.control = rest[:0]
	for len(rest) > 0 {
		header, data, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		if header.Level == unix.IPPROTO_UDP && header.Type == unix.UDP_GRO && len(data) >= 4 {
			m.segment = int(binary.NativeEndian.Uint32(data))
		} else {
			m.control = append(m.control, rest[:len(rest)-len(next)]...) // moves it to the front
		}
		rest = next
	}
	return m
}

func (r *receiver) sender(n *name) *net.UDPAddr {
	if r.from == nil || r.name != *n {
		r.name, r.from = *n, n.address()
	}
	return r.from
}

func (n *name) address() *net.UDPAddr {
	port := int(binary.BigEndian.Uint16(n[2:]))
	if binary.NativeEndian.Uint16(n[:]) == unix.AF_INET {
		return &net.UDPAddr{IP: net.IP(append([]byte(nil), n[4:8]...)), Port: port}
	}
	from := &net.UDPAddr{IP: net.IP(append([]byte(nil), n[8:24]...)), Port: port}
	if scope := int(binary.NativeEndian.Uint32(n[24:])); scope != 0 {
		if i, err := net.InterfaceByIndex(scope); err == nil {
			from.Zone = i.Name
		}
	}
	return from
}
