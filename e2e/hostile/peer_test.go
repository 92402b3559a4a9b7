//go:build linux

package hostile

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"apquic/certs"
	"apquic/framing"
)

// peer is a node written by hand, which does what it is told and obeys no rules.
type peer struct {
	t       *testing.T
	conn    *quic.Conn
	control *quic.Stream
	sealer  *framing.Sealer
	opener  *framing.Opener
	reader  *bufio.Reader
	nonce   uint64
}

func newKey(t *testing.T) certs.PrivateKey {
	t.Helper()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// dialQUIC makes the handshake and nothing else.
func dialQUIC(t *testing.T, invitation certs.Invitation, key certs.PrivateKey, config *quic.Config) *quic.Conn {
	t.Helper()
	tlsConfig, err := certs.NodeTLS(key, invitation.Server)
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: knockingSocket(t, invitation)}
	t.Cleanup(func() { transport.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	conn, err := transport.Dial(ctx, serverAddress(t, invitation), tlsConfig, config)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// dialPeer makes the handshake and opens the control stream.
func dialPeer(t *testing.T, invitation certs.Invitation, key certs.PrivateKey) *peer {
	t.Helper()
	conn := dialQUIC(t, invitation, key, &quic.Config{MaxIncomingStreams: 1 << 14, MaxIncomingUniStreams: 1 << 10})
	state := conn.ConnectionState().TLS
	exporter, err := state.ExportKeyingMaterial(framing.ExporterLabel, nil, 32)
	if err != nil {
		t.Fatal(err)
	}
	control, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	binding := framing.Binding{Exporter: [32]byte(exporter)}
	own := key.ID()
	return &peer{
		t: t, conn: conn, control: control, reader: bufio.NewReader(control),
		sealer: framing.NewSealer(key.Sign, ed25519.PublicKey(own[:]), framing.RoleNode, binding),
		opener: framing.NewOpener(ed25519.PublicKey(invitation.Server[:]), framing.RoleServer, binding),
	}
}

// join makes a peer that the server has admitted.
func join(t *testing.T, invitation certs.Invitation, key certs.PrivateKey, hello *framing.Hello) *peer {
	t.Helper()
	p := dialPeer(t, invitation, key)
	p.request(framing.OpHello, hello)
	reply := p.read()
	if reply.Opcode == framing.OpFailure { // the server does not know the node yet
		hello.JoinSecret = invitation.Secret
		p.request(framing.OpHello, hello)
		reply = p.read()
	}
	if reply.Opcode != framing.OpWelcome {
		t.Fatalf("Hello was answered with %v", reply.Opcode)
	}
	return p
}

// send writes a message and fails the test if the connection is gone.
func (p *peer) send(op framing.Opcode, message proto.Message, nonce uint64) {
	p.t.Helper()
	if err := p.trySend(op, message, nonce); err != nil {
		p.t.Fatalf("sending %v: %v", op, err)
	}
}

func (p *peer) trySend(op framing.Opcode, message proto.Message, nonce uint64) error {
	frame, err := p.sealer.Seal(op, message, nonce, false)
	if err != nil {
		return err
	}
	p.control.SetWriteDeadline(time.Now().Add(maxWait))
	_, err = p.control.Write(frame)
	return err
}

// request sends a message with a nonce of its own, which it returns.
func (p *peer) request(op framing.Opcode, message proto.Message) uint64 {
	p.t.Helper()
	p.nonce++
	p.send(op, message, p.nonce)
	return p.nonce
}

// read returns the next message.
func (p *peer) read() framing.Envelope {
	p.t.Helper()
	p.control.SetReadDeadline(time.Now().Add(maxWait))
	envelope, err := p.opener.Open(p.reader)
	if err != nil {
		p.t.Fatalf("reading the control stream: %v", err)
	}
	return envelope
}
