//go:build linux

package hostile

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
)

// knocking is a socket that knocks before each packet that may begin a connection, as a node does.
type knocking struct {
	net.PacketConn
	key framing.KnockKey
}

func (k knocking) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > 0 && b[0]&0xf0 == 0xc0 { // an Initial
		knock := framing.Knock{Time: time.Now()}
		rand.Read(knock.Random[:])
		k.PacketConn.WriteTo(k.key.Append(nil, knock), to)
	}
	return k.PacketConn.WriteTo(b, to)
}

func plainSocket(t *testing.T) net.PacketConn {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

// knockingSocket is the socket of a stranger who knows the server's id.
func knockingSocket(t *testing.T, invitation certs.Invitation) net.PacketConn {
	t.Helper()
	return knockingOn(plainSocket(t), invitation)
}

func knockingOn(socket net.PacketConn, invitation certs.Invitation) net.PacketConn {
	return knocking{socket, framing.NewKnockKey(invitation.Server)}
}

func serverAddress(t *testing.T, invitation certs.Invitation) net.Addr {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", invitation.Address())
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// tryDial makes a handshake over a socket wrapped by wrap, and leaves the connection open; nil: the server
// refused.
func tryDial(t *testing.T, invitation certs.Invitation, wrap func(net.PacketConn) net.PacketConn) *quic.Conn {
	t.Helper()
	conn, end := dialOver(t, invitation, wrap(knockingSocket(t, invitation)), serverAddress(t, invitation))
	t.Cleanup(end)
	return conn
}

// dialOver makes a handshake over a socket; nil: the server refused. end leaves silently.
func dialOver(t *testing.T, invitation certs.Invitation, socket net.PacketConn, to net.Addr) (conn *quic.Conn, end func()) {
	t.Helper()
	tlsConfig, err := certs.NodeTLS(newKey(t), invitation.Server)
	if err != nil {
		t.Error(err)
		return nil, func() {}
	}
	transport := &quic.Transport{Conn: socket}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err = transport.Dial(ctx, to, tlsConfig, nil)
	if err != nil {
		conn = nil
	}
	return conn, func() { transport.Close() }
}
