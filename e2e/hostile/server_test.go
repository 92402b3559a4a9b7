//go:build linux

package hostile

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"apquic/certs"
	"apquic/framing"
)

// hostileServer is a server written by hand with the right key, so that the node trusts it.
type hostileServer struct {
	t          *testing.T
	key        certs.PrivateKey
	listener   *quic.Listener
	invitation certs.Invitation
}

func listen(t *testing.T) *hostileServer {
	t.Helper()
	s := &hostileServer{t: t, key: newKey(t)}
	tlsConfig, err := certs.ServerTLS(s.key)
	if err != nil {
		t.Fatal(err)
	}
	s.listener, err = quic.ListenAddr("127.0.0.1:0", tlsConfig, &quic.Config{EnableStreamResetPartialDelivery: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	s.invitation = certs.Invitation{Server: s.key.ID(), Host: "127.0.0.1", Port: uint16(s.listener.Addr().(*net.UDPAddr).Port)}
	return s
}

// welcome accepts a node and sends Welcome.
func (s *hostileServer) welcome(welcome *framing.Welcome) *peer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	conn, err := s.listener.Accept(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	control, err := conn.AcceptStream(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	state := conn.ConnectionState().TLS
	node, err := certs.PeerID(state)
	if err != nil {
		s.t.Fatal(err)
	}
	exporter, err := state.ExportKeyingMaterial(framing.ExporterLabel, nil, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	binding, own := framing.Binding{Exporter: [32]byte(exporter)}, s.key.ID()
	p := &peer{
		t: s.t, conn: conn, control: control, reader: bufio.NewReader(control),
		sealer: framing.NewSealer(s.key.Sign, ed25519.PublicKey(own[:]), framing.RoleServer, binding),
		opener: framing.NewOpener(ed25519.PublicKey(node[:]), framing.RoleNode, binding),
	}
	hello := p.read()
	p.reply(framing.OpWelcome, welcome, hello.RequestNonce)
	return p
}

func (p *peer) reply(op framing.Opcode, message proto.Message, nonce uint64) error {
	frame, err := p.sealer.Seal(op, message, nonce, true)
	if err != nil {
		return err
	}
	p.control.SetWriteDeadline(time.Now().Add(maxWait))
	_, err = p.control.Write(frame)
	return err
}

// A server that does anything to a node that trusts it: the node survives, and costs its machine little.
func TestMonkeyServer(t *testing.T) {
	s := listen(t)
	node := start(t, "apquic-node", "--server", s.invitation.String(), "--upstream", echoService(t))
	var before cost
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 2))
		p := s.welcome(&framing.Welcome{
			Instance: 1 + random.Uint64N(2), MaxLanes: random.Uint32(), IdleTimeoutMilliseconds: random.Uint64N(3),
			Version: "\x1b[2J", Limits: &framing.Limits{MaxServices: random.Uint32()},
		})
		if seed == 0 {
			before = node.cost()
		}
		go drain(p)
		for i := range 300 {
			if seed%2 == 0 { // a message out of place ends the connection, so these do streams alone
				monkeyMessage(p, random)
			}
			monkeyStreams(p, random, i)
		}
		p.conn.CloseWithError(quic.ApplicationErrorCode(random.Uint32N(80)), "\x1b]0;owned\a")
	}
	took := node.cost().minus(before)
	t.Logf("the node: %v", took)
	if took.memory > 64<<20 || took.log > 32<<10 {
		t.Errorf("the monkey cost the node %v", took)
	}
	if log := node.log(); strings.ContainsAny(log, "\x1b\a") {
		t.Errorf("the server's text controls the terminal: %q", tail(log))
	}
}

func monkeyMessage(p *peer, random *rand.Rand) {
	op, message := anyMessage(random)
	if random.IntN(2) == 0 {
		p.trySend(op, message, random.Uint64N(3))
	} else {
		p.reply(op, message, random.Uint64N(5))
	}
}

// monkeyStreams opens an attempt of a relay, which may be truncated, wrong, or have another's number.
func monkeyStreams(p *peer, random *rand.Rand, i int) {
	if stream, err := p.conn.OpenStream(); err == nil {
		header, _ := framing.AppendStreamHeader(nil, &framing.StreamHeader{
			Service: []string{"web", "none"}[random.IntN(2)], Relay: random.Uint64N(8),
			Attempt: random.Uint64N(4), Received: random.Uint64N(2) * random.Uint64N(100),
			ClientAddress: fmt.Sprintf("192.0.2.%d:%d", i%250, 1+i),
		})
		frame := append(header, make([]byte, random.IntN(3000))...)
		stream.Write(frame[:min(len(frame), random.IntN(80)+1)])
		if random.IntN(2) == 0 {
			stream.CancelWrite(quic.StreamErrorCode(random.Uint32()))
		}
	}
}
