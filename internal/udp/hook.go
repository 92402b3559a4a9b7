package udp

import (
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
)

// Hooks see the datagrams of a socket. They must not keep the slices, and may be called concurrently.
type Hooks struct {
	// Received reports whether a datagram is passed on; nil: all are.
	Received func(datagram []byte, from net.Addr) bool
	// Sending gets what is about to be sent, one datagram or several of one size, and returns datagrams to
	// send first to the same address; nil: none.
	Sending func(b []byte, to net.Addr) [][]byte
}

// Hook returns a socket over pc that has hooks. A quic.Transport can still use everything it uses on pc.
func Hook(pc net.PacketConn, hooks Hooks) net.PacketConn {
	h := hooked{pc, hooks}
	if system, ok := pc.(systemSocket); ok {
		batch, ok := pc.(batchReader)
		if !ok {
			batch = ipv4.NewPacketConn(pc)
		}
		return &hookedSystem{hookedPlain{h}, system, batch}
	}
	if _, ok := pc.(syscall.Conn); ok {
		return hookedPlain{h}
	}
	return h
}

// systemSocket is what quic-go requires of a socket that it reads and writes with control messages.
type systemSocket interface {
	syscall.Conn
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
	WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
}

type batchReader interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
}

// hooked is the face for any socket.
type hooked struct {
	net.PacketConn
	hooks Hooks
}

func (h hooked) pass(b []byte, from net.Addr) bool {
	return h.hooks.Received == nil || h.hooks.Received(b, from)
}

func (h hooked) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := h.PacketConn.ReadFrom(b)
		if err != nil || h.pass(b[:n], from) {
			return n, from, err
		}
	}
}

func (h hooked) WriteTo(b []byte, to net.Addr) (int, error) {
	if h.hooks.Sending != nil {
		for _, first := range h.hooks.Sending(b, to) {
			h.PacketConn.WriteTo(first, to) // may be lost, as any datagram
		}
	}
	return h.PacketConn.WriteTo(b, to)
}

func (h hooked) SetReadBuffer(bytes int) error { return setReadBuffer(h.PacketConn, bytes) }

func (h hooked) SetWriteBuffer(bytes int) error { return setWriteBuffer(h.PacketConn, bytes) }

// hookedPlain is the face for a socket of the system on which quic-go sets options.
type hookedPlain struct{ hooked }

func (h hookedPlain) SyscallConn() (syscall.RawConn, error) {
	return h.PacketConn.(syscall.Conn).SyscallConn()
}

// hookedSystem is a quic.OOBCapablePacketConn with ReadBatch.
type hookedSystem struct {
	hookedPlain
	system systemSocket
	batch  batchReader
}

// ReadBatch copies datagrams forward over those that are not passed on, because the caller identifies its
// buffers by their position.
func (h *hookedSystem) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := h.batch.ReadBatch(ms, flags)
		if err != nil {
			return n, err
		}
		passed := 0
		for i := range ms[:n] {
			from, to := &ms[i], &ms[passed]
			if !h.pass(from.Buffers[0][:from.N], from.Addr) {
				continue
			}
			if passed++; from != to {
				to.N, to.NN = copy(to.Buffers[0], from.Buffers[0][:from.N]), copy(to.OOB, from.OOB[:from.NN])
				to.Addr, to.Flags = from.Addr, from.Flags
			}
		}
		if passed > 0 {
			return passed, nil
		}
	}
}

func (h *hookedSystem) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	for {
		n, oobn, flags, from, err = h.system.ReadMsgUDP(b, oob)
		if err != nil || h.pass(b[:n], from) {
			return n, oobn, flags, from, err
		}
	}
}

func (h *hookedSystem) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if h.hooks.Sending != nil {
		for _, first := range h.hooks.Sending(b, to) {
			h.system.WriteMsgUDP(first, nil, to)
		}
	}
	return h.system.WriteMsgUDP(b, oob, to)
}
