package initial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"github.com/quic-go/quic-go/quicvarint"
)

// Types of the frames that an Initial may have (RFC 9000 section 12.4).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameAck     = 0x02
	frameAckECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c
)

var salt = []byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}

// CryptoFrames counts the CRYPTO frames in the Initial packets of the datagram. The keys of a connection are
// derived from the connection id that its client made up: ids are candidates for it, beside the one that the
// packet is sent to. false: a packet cannot be decrypted with any of them, or contains what no Initial may
// contain.
func (d *Datagram) CryptoFrames(ids ...string) (count int, ok bool) {
	ids = append([]string{string(d.To)}, ids...)
	for _, p := range d.initials {
		opened := false
		for _, id := range ids {
			payload, ok := p.open(newKeys(id))
			if !ok {
				continue
			}
			n, ok := countCrypto(payload)
			if !ok {
				return 0, false
			}
			count, opened, ids = count+n, true, []string{id}
			break
		}
		if !opened {
			return 0, false
		}
	}
	return count, true
}

// keys are those of a client's Initial packets (RFC 9001 section 5.2).
type keys struct {
	aead       cipher.AEAD
	iv         []byte
	protection cipher.Block
}

func newKeys(id string) keys {
	secret, _ := hkdf.Extract(sha256.New, []byte(id), salt) // all lengths are valid for HKDF and AES
	client := expand(secret, "client in", 32)
	block, _ := aes.NewCipher(expand(client, "quic key", 16))
	aead, _ := cipher.NewGCM(block)
	protection, _ := aes.NewCipher(expand(client, "quic hp", 16))
	return keys{aead, expand(client, "quic iv", 12), protection}
}

// expand is HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1).
func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(size >> 8), byte(size), byte(len(label))}, label...)
	key, _ := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
	return key
}

// open decrypts a packet without changing its bytes. Packet numbers start at 0 in each connection, and no
// client sends more Initial packets than fit the shortest form, so that form is taken as the whole number.
func (p packet) open(k keys) (payload []byte, ok bool) {
	const numberSize, sampleSize = 4, 16
	if len(p.bytes) < p.number+numberSize+sampleSize {
		return nil, false
	}
	var mask [sampleSize]byte
	k.protection.Encrypt(mask[:], p.bytes[p.number+numberSize:][:sampleSize])
	first := p.bytes[0] ^ mask[0]&0x0f
	size := int(first&3) + 1
	header := append([]byte{first}, p.bytes[1:p.number+size]...)
	var number [8]byte
	for i := range size {
		header[p.number+i] ^= mask[1+i]
		number[len(number)-size+i] = header[p.number+i]
	}
	nonce := append([]byte(nil), k.iv...)
	tail := nonce[len(nonce)-len(number):]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^binary.BigEndian.Uint64(number[:]))
	payload, err := k.aead.Open(nil, nonce, p.bytes[p.number+size:], header)
	return payload, err == nil
}

// countCrypto counts the CRYPTO frames of a payload; false: it has frames that no Initial may have, or an
// invalid one.
func countCrypto(b []byte) (count int, ok bool) {
	for len(b) > 0 {
		kind := b[0]
		b, ok = b[1:], true
		switch kind {
		case framePadding, framePing:
		case frameAck, frameAckECN:
			b, ok = skipAck(b, kind == frameAckECN)
		case frameCrypto:
			if b, ok = skip(b, 1); ok {
				_, b, ok = cut(b)
			}
			count++
		case frameClose:
			if b, ok = skip(b, 2); ok {
				_, b, ok = cut(b)
			}
		default:
			return 0, false
		}
		if !ok {
			return 0, false
		}
	}
	return count, true
}

// skipAck drops an ACK frame after its type (RFC 9000 section 19.3).
func skipAck(b []byte, ecn bool) (rest []byte, ok bool) {
	if b, ok = skip(b, 2); !ok {
		return nil, false
	}
	ranges, n, err := quicvarint.Parse(b)
	if err != nil || ranges > uint64(len(b)) {
		return nil, false
	}
	values := 1 + 2*ranges
	if ecn {
		values += 3
	}
	return skip(b[n:], values)
}
