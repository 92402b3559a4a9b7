package udp

import (
	"net"

	"golang.org/x/net/ipv4"
)

// maxDatagram is more than quic-go takes: its buffers are of 1452 bytes.
const maxDatagram = 2048

// message is what the system received as one: a datagram, or several of one sender (UDP_GRO).
type message struct {
	data    []byte
	segment int    // the length of each datagram, but the last may be shorter; 0: data is one
	control []byte // control messages, for each datagram
	from    net.Addr
}

// batch is what one read brought and has not been taken yet.
type batch struct {
	messages []message
	recycle  func() // gives the memory back; nil: it needs none
}

func (b *batch) release() {
	if b.recycle != nil {
		b.recycle()
	}
}

// take moves datagrams into ms and returns how many. It drops those that do not fit into their buffer, and
// empty ones.
func (b *batch) take(ms []ipv4.Message) (n int) {
	for n < len(ms) && len(b.messages) > 0 {
		m := &b.messages[0]
		datagram := m.data
		if m.segment > 0 {
			datagram = m.data[:min(m.segment, len(m.data))]
		}
		m.data = m.data[len(datagram):]
		if size := len(datagram); size > 0 && size <= len(ms[n].Buffers[0]) {
			m.put(&ms[n], datagram)
			n++
		}
		if len(m.data) == 0 {
			b.messages = b.messages[1:]
		}
	}
	return n
}

// put leaves the control messages out if there is no room for all of them.
func (m *message) put(to *ipv4.Message, datagram []byte) {
	to.N = copy(to.Buffers[0], datagram)
	to.NN = 0
	if len(m.control) <= len(to.OOB) {
		to.NN = copy(to.OOB, m.control)
	}
	to.Addr, to.Flags = m.from, 0
}
