package quicproxy

import (
	"crypto/rand"
	"net"
	"net/netip"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/udp"
	"apquic/quicproxy/internal/limit"
)

// entrance decides which datagrams QUIC gets at a server. Those of running connections pass, with no more than a look at
// their first byte; those with a long header, which begin connections, come from who has knocked, and are counted.
type entrance struct {
	keys      []framing.KnockKey // of the server's ids; none: everybody may begin connections
	door      *limit.Door
	strangers *limit.Strangers
	passed    func(bytes int) // is told of what QUIC gets of running connections
}

// newEntrance opens for whoever knows one of the ids; without any it is open to all.
func newEntrance(strangers *limit.Strangers, passed func(bytes int), ids ...certs.NodeID) *entrance {
	e := &entrance{door: limit.NewDoor(), strangers: strangers, passed: passed}
	for _, id := range ids {
		e.keys = append(e.keys, framing.NewKnockKey(id))
	}
	return e
}

// around puts it before a socket.
func (e *entrance) around(socket net.PacketConn) net.PacketConn {
	return udp.Hook(socket, udp.Hooks{Received: e.received, Sending: e.sending})
}

func (e *entrance) received(datagram []byte, address net.Addr) bool {
	if len(datagram) == 0 {
		return false
	}
	if !isLongHeader(datagram) {
		if framing.IsKnock(datagram) {
			e.knock(datagram, endpoint(address))
			return false
		}
		e.passed(len(datagram))
		return true
	}
	kind, to, client, ok := parseLongHeader(datagram)
	if !ok || kind != initialPacket && kind != handshakePacket {
		return false
	}
	from, now := endpoint(address), time.Now()
	begins := kind == initialPacket && len(datagram) >= minInitialSize && (len(e.keys) == 0 || e.door.Open(from, now))
	return e.strangers.Arrived(from, to, client, begins, now)
}

func (e *entrance) knock(datagram []byte, from netip.AddrPort) {
	for _, key := range e.keys {
		if knock, ok := key.Open(datagram); ok {
			e.door.Knock(from, knock.Random, knock.Time, knock.Address.Addr(), time.Now())
			return
		}
	}
}

func (e *entrance) sending(b []byte, to net.Addr) [][]byte {
	if len(b) > 0 && isLongHeader(b) {
		if _, client, server, ok := parseLongHeader(b); ok {
			e.strangers.Sent(endpoint(to), client, server)
		}
	}
	return nil
}

// endpoint is the address with IPv4 in its own form; one for all that are not of UDP.
func endpoint(address net.Addr) netip.AddrPort {
	a := addrPort(address)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Types of packets with a long header (RFC 9000 section 17.2).
const (
	initialPacket   = 0
	handshakePacket = 2
	// minInitialSize is that of a datagram with an Initial of a client (RFC 9000 section 14.1).
	minInitialSize = 1200
)

func isLongHeader(datagram []byte) bool { return datagram[0]&0x80 != 0 }

// parseLongHeader returns the type of the first packet in a datagram and its connection ids; false for what is no packet
// of QUIC version 1 with a long header.
func parseLongHeader(b []byte) (kind byte, to, from []byte, ok bool) {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 || string(b[1:5]) != "\x00\x00\x00\x01" {
		return 0, nil, nil, false
	}
	kind, b = b[0]>>4&3, b[5:]
	for _, id := range []*[]byte{&to, &from} {
		if len(b) == 0 || b[0] > 20 || len(b) < 1+int(b[0]) {
			return 0, nil, nil, false
		}
		*id, b = b[1:1+b[0]], b[1+b[0]:]
	}
	return kind, to, from, true
}

// knocker knocks at a server before each packet with which a connection may begin: so a knock that was lost costs no
// more time than that packet.
type knocker struct {
	keys  []framing.KnockKey
	where func(to netip.AddrPort) netip.Addr // from where it sends, as far as is known
}

// around makes a socket knock at the server with these ids.
func (k *knocker) around(socket net.PacketConn) net.PacketConn {
	return udp.Hook(socket, udp.Hooks{Sending: k.sending})
}

func newKnocker(where func(to netip.AddrPort) netip.Addr, ids ...certs.NodeID) *knocker {
	k := &knocker{where: where}
	for _, id := range ids {
		k.keys = append(k.keys, framing.NewKnockKey(id))
	}
	return k
}

func (k *knocker) sending(b []byte, to net.Addr) (knocks [][]byte) {
	if len(b) == 0 || !isLongHeader(b) {
		return nil
	}
	if kind, _, _, ok := parseLongHeader(b); !ok || kind != initialPacket {
		return nil
	}
	for _, key := range k.keys {
		knock := framing.Knock{Time: time.Now(), Address: k.address(to)}
		rand.Read(knock.Random[:])
		knocks = append(knocks, key.Append(nil, knock))
	}
	return knocks
}

// address is from where the node sends, if nothing can translate it: the private address of a node behind a NAT says
// nothing.
func (k *knocker) address(to net.Addr) netip.AddrPort {
	if from := k.where(addrPort(to)); from.IsGlobalUnicast() && !from.IsPrivate() {
		return netip.AddrPortFrom(from, 0)
	}
	return netip.AddrPort{}
}

// knocker knocks at the server of this node, also if that has its next key already.
func (n *Node) knocker() *knocker { return newKnocker(n.config.Source, n.servers()...) }

// knownBy are the ids that a node has to know to be answered; none: it has to know nothing.
func (c *ServerConfig) knownBy() []certs.NodeID {
	if c.AnswerStrangers {
		return nil
	}
	if c.Former.IsZero() {
		return []certs.NodeID{c.Key.ID()}
	}
	return []certs.NodeID{c.Key.ID(), c.Former} // who missed a change of the key is told of it by the handshake
}
