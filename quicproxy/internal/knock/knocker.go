package knock

import (
	"crypto/rand"
	"net"
	"net/netip"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/udp"
	"apquic/quicproxy/internal/initial"
	"apquic/quicproxy/internal/netaddr"
)

// Knocker knocks at a server before each packet that may begin a connection, so a lost knock costs no more
// time than a loss of that packet.
type Knocker struct {
	keys  []framing.KnockKey
	where func(to netip.AddrPort) netip.Addr // the address it sends from, if known
}

// Around makes a socket knock at the server with these ids.
func (k *Knocker) Around(socket net.PacketConn) net.PacketConn {
	return udp.Hook(socket, udp.Hooks{Sending: k.sending})
}

// NewKnocker returns a Knocker for a server with any of the ids. where returns the address that packets to a
// server are sent from, as far as is known.
func NewKnocker(where func(to netip.AddrPort) netip.Addr, ids ...certs.NodeID) *Knocker {
	k := &Knocker{where: where}
	for _, id := range ids {
		k.keys = append(k.keys, framing.NewKnockKey(id))
	}
	return k
}

func (k *Knocker) sending(b []byte, to net.Addr) (knocks [][]byte) {
	if !initial.Begins(b) {
		return nil
	}
	for _, key := range k.keys {
		knock := framing.Knock{Time: time.Now(), Address: k.address(to)}
		rand.Read(knock.Random[:])
		knocks = append(knocks, key.Append(nil, knock))
	}
	return knocks
}

// address is the address that the node sends from, if nothing can translate it: the private address of a node
// behind a NAT is of no use.
func (k *Knocker) address(to net.Addr) netip.AddrPort {
	if from := k.where(netaddr.Endpoint(to)); from.IsGlobalUnicast() && !from.IsPrivate() {
		return netip.AddrPortFrom(from, 0)
	}
	return netip.AddrPort{}
}
