package udp

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// batchConn is the face of a Conn over sockets of Linux: a quic.OOBCapablePacketConn with ReadBatch.
type batchConn struct {
	systemConn
	rest *batch // read but not yet taken; the reader's
}

func newFace(c *Conn, s *socket) net.PacketConn {
	if s.udp != nil {
		return &batchConn{systemConn: systemConn{plainConn{c}}}
	}
	return newPlainFace(c, s)
}

func newSocket(pc net.PacketConn) (*socket, error) {
	s := newPlainSocket(pc)
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		return s, nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s.udp = conn
	s.receive = newReceiver(raw).receive
	return s, nil
}

// ReadBatch fills some of ms and returns how many. It ignores flags.
func (b *batchConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		if b.rest == nil {
			rest, err := b.c.receive()
			if err != nil {
				return 0, err
			}
			b.rest = rest
		}
		n := b.rest.take(ms)
		if len(b.rest.messages) == 0 {
			b.rest.release()
			b.rest = nil
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (b *batchConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, _, _, from, err := b.ReadMsgUDP(p, nil)
	return n, from, err
}

func (b *batchConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	m := [1]ipv4.Message{{Buffers: [][]byte{p}, OOB: oob}}
	if _, err := b.ReadBatch(m[:], 0); err != nil {
		return 0, 0, 0, nil, err
	}
	return m[0].N, m[0].NN, m[0].Flags, m[0].Addr.(*net.UDPAddr), nil
}

func (b *batchConn) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if b.c.last.wanted.Load() {
		b.c.last.keep(p, segmentSize(oob), to)
	}
	for {
		s := b.c.newest.Load()
		n, oobn, err := s.udp.WriteMsgUDP(p, oob, to)
		if err == nil {
			return n, oobn, nil
		}
		if again, err := b.c.writeFailed(s, err, segmentSize(oob) > 0); err != nil {
			return 0, 0, err
		} else if !again {
			return len(p), len(oob), nil
		}
	}
}

// segmentSize is the length of the datagrams of a write with GSO; 0: it is one datagram.
func segmentSize(oob []byte) int {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if header.Level == unix.IPPROTO_UDP && header.Type == unix.UDP_SEGMENT && len(data) >= 2 {
			return int(binary.NativeEndian.Uint16(data))
		}
		oob = rest
	}
	return 0
}
