package public

import (
	"net/netip"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/flowlimit"
	"apquic/quicproxy/internal/pace"
)

// clientFlow is what one client address and a service send each other. It ends when its port says so.
type clientFlow struct {
	number  uint64
	port    *udpPort
	client  netip.AddrPort
	local   netip.Addr             // that the client sends to; zero: not known
	begun   int64                  // in nanoseconds of Unix time
	from    []byte                 // the same, as a control message
	known   atomic.Uint64          // the node's process that has the flow, inverted; 0: none is known to
	member  atomic.Pointer[member] // that has the flow; nil: none has yet
	bytes   [2]atomic.Uint64       // to the node, and from it
	in, out pace.Share             // of the bytes per second of the service
	rules   uint64                 // version of those that its client was found to be welcome by; the port's reader owns it

	over bool // no member gets it; guarded by Listener.mu

	// Guarded by udpPort.mu.
	place *flowlimit.Place // does not change once the flow has a number
	ended bool
}

// Receive takes a datagram that a process of a node sent. It reports false if that is a payload of a flow which
// the node does not have here, and it is to be told. A flow of another node's is none.
func (s *Listeners) Receive(node certs.NodeID, process uint64, d framing.Datagram) (known bool) {
	f := s.flows.Find(d.Flow)
	switch {
	case d.Kind == framing.DatagramFirst:
		s.config.Datagrams.Malformed.Add(1)
		return true
	case f == nil:
		if d.Kind == framing.DatagramPayload {
			s.config.Datagrams.NoFlow.Add(1)
		}
		return d.Kind != framing.DatagramPayload
	case !f.isOf(node):
		s.config.Datagrams.Foreign.Add(1)
		return d.Kind != framing.DatagramPayload
	}
	switch d.Kind {
	case framing.DatagramPayload:
		f.known.Store(^process)
		f.port.answer(f, d.Payload)
	case framing.DatagramKnown:
		f.known.Store(^process)
	case framing.DatagramUnknown:
		f.known.CompareAndSwap(^process, 0)
	}
	return true
}

// isOf reports whether a node has the flow.
func (f *clientFlow) isOf(node certs.NodeID) bool {
	m := f.member.Load()
	return m != nil && m.Node == node
}

// toNode is the datagram that tells the node of a payload. Until the node's process has said that it knows the
// flow, each says what the flow is.
func (f *clientFlow) toNode(service string, process uint64, idle time.Duration, payload []byte) framing.Datagram {
	d := framing.Datagram{Flow: f.number, Payload: payload}
	if f.known.Load() != ^process {
		d.Kind = framing.DatagramFirst
		d.Header = &framing.FlowHeader{Service: service, ClientAddress: f.client.String(), IdleSeconds: uint32(idle / time.Second)}
		if f.local.IsValid() {
			d.Header.PublicAddress = netip.AddrPortFrom(f.local, f.port.listener.Port).String()
		}
	}
	return d
}
