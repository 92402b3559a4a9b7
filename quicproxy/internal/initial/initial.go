// Package initial reads the datagrams with which clients begin QUIC connections (RFC 9000, RFC 9001), before
// QUIC gets them: which packets are in them, and how many CRYPTO frames, each of which QUIC keeps. Anybody
// who sees an Initial packet can decrypt it.
//
// It is pure: it must not keep state, know connections or limits, or trust anything unauthenticated.
package initial

import (
	"github.com/quic-go/quic-go/quicvarint"
)

// Types of packets with a long header (RFC 9000 section 17.2).
const (
	typeInitial   = 0
	typeHandshake = 2
	// minSize is that of a datagram with an Initial of a client (RFC 9000 section 14.1).
	minSize = 1200
)

// Datagram is the unencrypted part of a client's datagram. It refers to the datagram's bytes.
type Datagram struct {
	To, From []byte // connection ids of the first packet
	Initial  bool   // the first packet is an Initial, and the datagram is as large as required
	// Bytes of Handshake packets, and of packets with a short header after them.
	Handshake, Short int

	initials []packet
}

// packet is an Initial packet from its first byte.
type packet struct {
	bytes  []byte
	number int // where its packet number is
}

// IsLong reports whether a datagram begins with a packet that has a long header. It must not be empty.
func IsLong(datagram []byte) bool { return datagram[0]&0x80 != 0 }

// Parse reads the packets of a datagram, the first of which has a long header; false: it is not QUIC version
// 1, or has a packet that only a client that resumes a session would send.
func Parse(b []byte) (d Datagram, ok bool) {
	size := len(b)
	for first := true; len(b) > 0; first = false {
		if !IsLong(b) {
			if b[0]&0x40 != 0 { // otherwise it is padding
				d.Short = len(b)
			}
			break
		}
		kind, to, from, rest, ok := parseHeader(b)
		if !ok || kind != typeInitial && kind != typeHandshake {
			return Datagram{}, false
		}
		if kind == typeInitial {
			if _, rest, ok = cut(rest); !ok { // the token
				return Datagram{}, false
			}
		}
		length, n, err := quicvarint.Parse(rest)
		if err != nil || length > uint64(len(rest)-n) {
			return Datagram{}, false
		}
		number := len(b) - len(rest) + n
		end := number + int(length)
		if first {
			d.To, d.From, d.Initial = to, from, kind == typeInitial && size >= minSize
		}
		if kind == typeInitial {
			d.initials = append(d.initials, packet{b[:end], number})
		} else {
			d.Handshake += end
		}
		b = b[end:]
	}
	return d, len(d.initials) > 0 || d.Handshake > 0
}

// Begins reports whether the first packet of a datagram is an Initial.
func Begins(datagram []byte) bool {
	kind, _, _, _, ok := parseHeader(datagram)
	return ok && kind == typeInitial
}

// ConnectionIDs returns those of a packet with a long header; false: it is not QUIC version 1.
func ConnectionIDs(b []byte) (to, from []byte, ok bool) {
	_, to, from, _, ok = parseHeader(b)
	return to, from, ok
}

// parseHeader reads what all packets with a long header have in common.
func parseHeader(b []byte) (kind byte, to, from, rest []byte, ok bool) {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 || string(b[1:5]) != "\x00\x00\x00\x01" {
		return 0, nil, nil, nil, false
	}
	kind, rest = b[0]>>4&3, b[5:]
	for _, id := range []*[]byte{&to, &from} {
		if len(rest) == 0 || rest[0] > 20 || len(rest) < 1+int(rest[0]) {
			return 0, nil, nil, nil, false
		}
		*id, rest = rest[1:1+rest[0]], rest[1+rest[0]:]
	}
	return kind, to, from, rest, true
}

// cut splits off bytes preceded by their length.
func cut(b []byte) (head, rest []byte, ok bool) {
	length, n, err := quicvarint.Parse(b)
	if err != nil || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(length)], b[n+int(length):], true
}

// skip drops count varints.
func skip(b []byte, count uint64) (rest []byte, ok bool) {
	for ; count > 0; count-- {
		_, n, err := quicvarint.Parse(b)
		if err != nil {
			return nil, false
		}
		b = b[n:]
	}
	return b, true
}
