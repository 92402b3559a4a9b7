package framing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// KnockSize is the size of a knock, in bytes.
const KnockSize = 1 + 8 + 16 + 2 + 16 + knockTagSize

const (
	// knockType begins no QUIC packet, since the bit 0x40 is not set, and no probe or wake datagram, which
	// begin with 0x3f.
	knockType    = 0x3e
	knockTagSize = 16
	knockLabel   = "apquic/1 knock"
)

// Knock is what a node sends before a QUIC packet that begins a connection. It shows that the node knows the
// id of the server, which answers nobody else (docs/protocol.md section 2.7).
type Knock struct {
	Time    time.Time      // by the node's clock, which may be wrong; in milliseconds
	Address netip.AddrPort // the node's own idea of its source address; zero: unknown
	Random  [16]byte       // new in each knock
}

// KnockKey makes and checks the knocks of one server.
type KnockKey [sha256.Size]byte

// NewKnockKey derives the key from the raw id of the server.
func NewKnockKey(server [32]byte) KnockKey {
	h := hmac.New(sha256.New, server[:])
	h.Write([]byte(knockLabel))
	return KnockKey(h.Sum(nil))
}

// IsKnock reports whether a datagram has the form of a knock, whatever its tag.
func IsKnock(datagram []byte) bool { return len(datagram) == KnockSize && datagram[0] == knockType }

// Append appends the datagram to b.
func (k KnockKey) Append(b []byte, knock Knock) []byte {
	start := len(b)
	b = append(b, knockType)
	b = binary.BigEndian.AppendUint64(b, uint64(knock.Time.UnixMilli()))
	var ip [16]byte
	var port uint16
	if knock.Address.IsValid() {
		ip, port = knock.Address.Addr().As16(), knock.Address.Port()
	}
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, port)
	b = append(b, knock.Random[:]...)
	return append(b, k.tag(b[start:])...)
}

// Open returns what a knock says, and false for a datagram that is not a knock or has the tag of another
// server.
func (k KnockKey) Open(datagram []byte) (knock Knock, ok bool) {
	if !IsKnock(datagram) {
		return Knock{}, false
	}
	said, tag := datagram[:KnockSize-knockTagSize], datagram[KnockSize-knockTagSize:]
	if !hmac.Equal(tag, k.tag(said)) {
		return Knock{}, false
	}
	knock.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(said[1:])))
	if ip := netip.AddrFrom16([16]byte(said[9:25])); !ip.IsUnspecified() {
		knock.Address = netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(said[25:]))
	}
	knock.Random = [16]byte(said[27:43])
	return knock, true
}

func (k KnockKey) tag(said []byte) []byte {
	h := hmac.New(sha256.New, k[:])
	h.Write(said)
	return h.Sum(nil)[:knockTagSize]
}
