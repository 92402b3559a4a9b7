//go:build linux

package hostile

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
)

// TestSilence: without the server's id nothing gets an answer, whatever is sent.
func TestSilence(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		send      func(t *testing.T, server certs.NodeID) [][]byte
		answered  bool
	}{
		{"a client", nil, withoutKnock(beginning), false},
		{"a client, not silent", []string{"--silent=false"}, withoutKnock(beginning), true},
		{"a client after a knock", nil, behindKnock(beginning), true},
		{"a client after the knock for another server", nil, func(t *testing.T, _ certs.NodeID) [][]byte {
			return append([][]byte{knock(newKey(t).ID())}, beginning(t)...)
		}, false},
		{"another version", nil, withoutKnock(otherVersion), false},
		{"another version, not silent", []string{"--silent=false"}, withoutKnock(otherVersion), false},
		{"another version after a knock", nil, behindKnock(otherVersion), false},
		{"junk", nil, withoutKnock(junk), false},
		{"junk after a knock", nil, behindKnock(junk), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, invitation := startServer(t, test.arguments...)
			socket := plainSocket(t)
			for _, datagram := range test.send(t, invitation.Server) {
				if _, err := socket.WriteTo(datagram, serverAddress(t, invitation)); err != nil {
					t.Fatal(err)
				}
			}
			// The answer to an Initial comes at once; a server under load may take longer.
			wait := time.Second
			if test.answered {
				wait = maxWait
			}
			socket.SetReadDeadline(time.Now().Add(wait))
			n, from, err := socket.ReadFrom(make([]byte, 2048))
			if answered := err == nil; answered != test.answered {
				t.Errorf("answered: %v (%d bytes from %v)", answered, n, from)
			}
		})
	}
}

// beginning is the first datagrams of a QUIC client that knows only the address.
func beginning(t *testing.T) [][]byte {
	t.Helper()
	tlsConfig, err := certs.NodeTLS(newKey(t), newKey(t).ID())
	if err != nil {
		t.Fatal(err)
	}
	socket := &recording{PacketConn: plainSocket(t)}
	transport := &quic.Transport{Conn: socket}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := transport.Dial(ctx, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, tlsConfig, nil); err == nil {
		t.Fatal("nobody was reached")
	}
	return socket.sent
}

// recording is a socket that sends nothing and remembers everything.
type recording struct {
	net.PacketConn
	sent [][]byte
}

func (r *recording) WriteTo(b []byte, to net.Addr) (int, error) {
	r.sent = append(r.sent, bytes.Clone(b))
	return len(b), nil
}

func otherVersion(t *testing.T) [][]byte {
	all := beginning(t)
	for _, b := range all {
		copy(b[1:], []byte{0x1a, 0x2a, 0x3a, 0x4a}) // reserved to make servers negotiate (RFC 9000 section 15)
	}
	return all
}

func withoutKnock(send func(*testing.T) [][]byte) func(*testing.T, certs.NodeID) [][]byte {
	return func(t *testing.T, _ certs.NodeID) [][]byte { return send(t) }
}

func behindKnock(send func(*testing.T) [][]byte) func(*testing.T, certs.NodeID) [][]byte {
	return func(t *testing.T, server certs.NodeID) [][]byte { return append([][]byte{knock(server)}, send(t)...) }
}

func knock(server certs.NodeID) []byte {
	k := framing.Knock{Time: time.Now()}
	rand.Read(k.Random[:])
	return framing.NewKnockKey(server).Append(nil, k)
}

// junk mostly has a long header; otherwise it is too short for a stateless reset.
func junk(*testing.T) (all [][]byte) {
	for size := 1; size < 1400; size += 7 {
		b := make([]byte, size)
		rand.Read(b)
		if b[0] |= 0x80; size <= 42 {
			b[0] &= 0x7f
		}
		all = append(all, b, bytes.Repeat([]byte{0xc0}, size))
	}
	return all
}
