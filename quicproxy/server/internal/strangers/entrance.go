package strangers

import (
	"net"
	"net/netip"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/udp"
	"apquic/quicproxy/internal/initial"
	"apquic/quicproxy/internal/knock"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/server/internal/handshakes"
)

// maxCryptoFrames is how many CRYPTO frames a datagram may have: clients send one to five, and QUIC keeps
// each.
const maxCryptoFrames = 16

// entrance decides which datagrams QUIC gets at a server. Datagrams of nodes pass after a check of their
// first byte and of whether their sender is a stranger. Datagrams with a long header, which begin
// connections, must come from an address that has knocked. What strangers send is counted.
type entrance struct {
	keys      []framing.KnockKey // of the server's ids; none: anybody may begin a connection
	door      *knock.Door
	strangers *handshakes.Account
	passed    func(bytes int) // called with what QUIC gets of running connections
}

// Around puts an entrance before a socket, for clients that know one of the ids; without ids it is open to
// all.
func (s *Strangers) Around(socket net.PacketConn, passed func(bytes int), ids ...certs.NodeID) net.PacketConn {
	e := &entrance{door: knock.NewDoor(), strangers: s.account, passed: passed}
	for _, id := range ids {
		e.keys = append(e.keys, framing.NewKnockKey(id))
	}
	return udp.Hook(socket, udp.Hooks{Received: e.received, Sending: e.sending})
}

func (e *entrance) received(datagram []byte, address net.Addr) bool {
	if len(datagram) == 0 {
		return false
	}
	from, now := netaddr.Endpoint(address), time.Now()
	if initial.IsLong(datagram) {
		return e.begins(datagram, from, now)
	}
	if framing.IsKnock(datagram) {
		e.knock(datagram, from)
		return false
	}
	if id := datagram[1:]; len(id) >= quicconfig.ServerConnectionIDLength && !e.strangers.ArrivedShort(from, id[:quicconfig.ServerConnectionIDLength], len(datagram), now) {
		return false
	}
	e.passed(len(datagram))
	return true
}

// begins decides about a datagram with a long header.
func (e *entrance) begins(datagram []byte, from netip.AddrPort, now time.Time) bool {
	d, ok := initial.Parse(datagram)
	if !ok {
		return false
	}
	begins := d.Initial && (len(e.keys) == 0 || e.door.Open(from, now))
	ids := e.strangers.IDs(from, d.From)
	if ids == nil && !begins {
		return false
	}
	frames, ok := d.CryptoFrames(ids...)
	if !ok || frames > maxCryptoFrames {
		return false
	}
	return e.strangers.Arrived(from, handshakes.Datagram{
		To: d.To, Client: d.From, Begins: begins, CryptoFrames: frames, Handshake: d.Handshake, Short: d.Short,
	}, now)
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
	if len(b) > 0 && initial.IsLong(b) {
		if client, server, ok := initial.ConnectionIDs(b); ok {
			e.strangers.Sent(netaddr.Endpoint(to), client, server)
		}
	}
	return nil
}
