package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"time"
)

// knockingConn sends a knock (section 2.7) right before each datagram that begins with an Initial packet.
type knockingConn struct {
	net.PacketConn
	server []byte // id
}

func (c *knockingConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > 0 && b[0]&0xf0 == 0xc0 { // a long header of the type Initial, RFC 9000 section 17.2.2
		if _, err := c.PacketConn.WriteTo(knock(c.server), to); err != nil {
			return 0, err
		}
	}
	return c.PacketConn.WriteTo(b, to)
}

func knock(server []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0x3e}, uint64(time.Now().UnixMilli()))
	b = append(b, make([]byte, 16+2+16)...) // an unknown address, and the random part
	rand.Read(b[len(b)-16:])
	return append(b, sum(sum(server, []byte("apquic/1 knock")), b)[:16]...)
}

func sum(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}
