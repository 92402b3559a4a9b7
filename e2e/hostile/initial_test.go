//go:build linux

package hostile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"
)

// initials makes Initial packets by hand (RFC 9001 section 5.2): their keys are derived from the connection
// id, which the client chooses, so that anybody can make them.
type initials struct {
	id         []byte
	token      []byte // of a Retry; nil: there was none
	aead       cipher.AEAD
	protection cipher.Block
	iv         []byte
	number     uint32
}

// ownID is the connection id of the client that sends them.
const ownID = "\x01\x02\x03\x04"

func newInitials() *initials {
	id := make([]byte, 8)
	rand.Read(id)
	return initialsTo(id, nil)
}

// initialsTo makes those to a connection id, with the token of the Retry that gave it.
func initialsTo(id, token []byte) *initials {
	i := &initials{id: id, token: token}
	salt := []byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}
	secret, _ := hkdf.Extract(sha256.New, i.id, salt)
	client := expand(secret, "client in", 32)
	block, _ := aes.NewCipher(expand(client, "quic key", 16))
	i.aead, _ = cipher.NewGCM(block)
	i.iv = expand(client, "quic iv", 12)
	i.protection, _ = aes.NewCipher(expand(client, "quic hp", 16))
	return i
}

func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(size >> 8), byte(size), byte(len(label))}, label...)
	key, _ := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
	return key
}

// packet is the next Initial, with these frames and padding.
func (i *initials) packet(frames []byte) []byte {
	frames = append(slices.Clip(frames), make([]byte, max(0, 1170-len(frames)-len(i.token)))...)
	b := []byte{0xc3, 0, 0, 0, 1, byte(len(i.id))}
	b = append(b, i.id...)
	b = append(b, 4)
	b = append(b, ownID...)
	b = quicvarint.Append(b, uint64(len(i.token)))
	b = append(b, i.token...)
	b = quicvarint.AppendWithLen(b, uint64(4+len(frames)+i.aead.Overhead()), 2)
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, i.number)
	nonce := slices.Clone(i.iv)
	for n := range 4 {
		nonce[len(nonce)-4+n] ^= b[at+n]
	}
	b = i.aead.Seal(b, nonce, frames, b)
	i.number++
	var mask [16]byte
	i.protection.Encrypt(mask[:], b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	for n := range 4 {
		b[at+n] ^= mask[1+n]
	}
	return b
}

// crumbs are CRYPTO frames of one byte each, from offset on, as many as fit into a packet.
func crumbs(offset uint64) (frames []byte, next uint64) {
	for len(frames) < 1400-7-60 {
		frames = append(frames, 0x06)
		frames = quicvarint.Append(frames, offset)
		frames = append(frames, 1, 'x')
		offset++
	}
	return frames, offset
}

// clientHello is the start of a handshake with crypto/tls, which can be sent from any address to any
// connection id.
func clientHello(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	conn := tls.QUICClient(&tls.QUICConfig{TLSConfig: config})
	defer conn.Close()
	conn.SetTransportParameters(append([]byte{0x0f, byte(len(ownID))}, ownID...)) // initial_source_connection_id
	if err := conn.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	event := conn.NextEvent()
	if event.Kind != tls.QUICWriteData {
		t.Fatalf("the handshake begins with event %d", event.Kind)
	}
	return slices.Clone(event.Data)
}

// hello are the datagrams with a ClientHello.
func (i *initials) hello(hello []byte) (datagrams [][]byte) {
	for offset := 0; offset < len(hello); {
		part := hello[offset:min(len(hello), offset+900)]
		frame := quicvarint.Append([]byte{0x06}, uint64(offset))
		frame = quicvarint.Append(frame, uint64(len(part)))
		datagrams = append(datagrams, i.packet(append(frame, part...)))
		offset += len(part)
	}
	return datagrams
}
