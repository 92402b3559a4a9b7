package quicproxy_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/knock"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/quicstream"
)

// peer is an end of a connection that says what a test wants it to say.
type peer struct {
	t      *testing.T
	conn   *quic.Conn
	stream *quic.Stream
	opener *framing.Opener
	reader *bufio.Reader
}

// dialServer connects with the key of w's node and opens the control stream.
func dialServer(w *world) *peer {
	w.t.Helper()
	tlsConfig, err := certs.NodeTLS(w.nodeKey, w.key.ID())
	if err != nil {
		w.t.Fatal(err)
	}
	socket, err := w.home.ListenUDP(0)
	if err != nil {
		w.t.Fatal(err)
	}
	unknown := func(netip.AddrPort) netip.Addr { return netip.Addr{} }
	transport := &quic.Transport{Conn: knock.NewKnocker(unknown, w.key.ID()).Around(socket)}
	w.t.Cleanup(func() { transport.Close(); socket.Close() })
	address := &net.UDPAddr{IP: net.ParseIP(serverIP), Port: serverUDP}
	conn, err := transport.Dial(w.t.Context(), address, tlsConfig, quicconfig.Node(time.Minute, nodeHandshakeTimeout, false))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.CloseWithError(0, "") })
	stream, err := conn.OpenStream()
	if err != nil {
		w.t.Fatal(err)
	}
	server := w.key.ID()
	return &peer{
		t: w.t, conn: conn, stream: stream, reader: bufio.NewReader(stream),
		opener: framing.NewOpener(server[:], framing.RoleServer, bindingOf(w.t, conn, 0)),
	}
}

func bindingOf(t *testing.T, conn *quic.Conn, netID uint32) framing.Binding {
	t.Helper()
	state := conn.ConnectionState().TLS
	exporter, err := state.ExportKeyingMaterial(framing.ExporterLabel, nil, 32)
	if err != nil {
		t.Fatal(err)
	}
	return framing.Binding{Exporter: [32]byte(exporter), NetID: netID}
}

func (p *peer) sealer(key certs.PrivateKey, role framing.Role, netID uint32) *framing.Sealer {
	id := key.ID()
	return framing.NewSealer(key.Sign, ed25519.PublicKey(id[:]), role, bindingOf(p.t, p.conn, netID))
}

func (p *peer) write(frames ...[]byte) {
	p.t.Helper()
	for _, frame := range frames {
		if _, err := p.stream.Write(frame); err != nil {
			p.t.Fatal(err)
		}
	}
}

func seal(t *testing.T, s *framing.Sealer, op framing.Opcode, m proto.Message, nonce uint64, reply bool) []byte {
	t.Helper()
	frame, err := s.Seal(op, m, nonce, reply)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// wantClose waits for the end of the connection, which must have the code and a text.
func (p *peer) wantClose(code framing.ErrorCode) {
	p.t.Helper()
	select {
	case <-p.conn.Context().Done():
	case <-time.After(time.Minute):
		p.t.Fatalf("the connection lives, want it closed with %v", code)
	}
	end, ok := errors.AsType[*quic.ApplicationError](context.Cause(p.conn.Context()))
	if !ok || !end.Remote || framing.ErrorCode(end.ErrorCode) != code {
		p.t.Fatalf("closed with %v, want %v", context.Cause(p.conn.Context()), code)
	}
	if code != framing.NoError && end.ErrorMessage == "" {
		p.t.Errorf("closed with %v without a text", code)
	}
}

// TestBadMessages: each way to break the control protocol has its own end.
func TestBadMessages(t *testing.T) {
	hello := &framing.Hello{Instance: 1}
	moving := &framing.Hello{Instance: 1, Features: []uint32{uint32(framing.FeatureMovingRelays)}}
	forged := func([]byte) []byte { return make([]byte, ed25519.SignatureSize) }
	cases := []struct {
		name string
		send func(w *world, p *peer)
		code framing.ErrorCode
	}{
		{"not Hello first", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpKeepalive, &framing.Keepalive{}, 1, false))
		}, framing.ErrorUnexpectedMessage},
		{"Hello twice", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpHello, hello, 2, false))
		}, framing.ErrorUnexpectedMessage},
		{"wrong signature", func(w *world, p *peer) {
			id := w.nodeKey.ID()
			s := framing.NewSealer(forged, id[:], framing.RoleNode, bindingOf(w.t, p.conn, 0))
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false))
		}, framing.ErrorBadSignature},
		{"signature of another connection", func(w *world, p *peer) {
			s := dialServer(w).sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false))
		}, framing.ErrorBadSignature},
		{"signed as the server", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(w.nodeKey, framing.RoleServer, 0), framing.OpHello, hello, 1, false))
		}, framing.ErrorBadSignature},
		{"foreign net_key", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(newKey(w.t), framing.RoleNode, 0), framing.OpHello, hello, 1, false))
		}, framing.ErrorForeignKey},
		{"repeated nonce", func(w *world, p *peer) {
			frame := seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, hello, 1, false)
			p.write(frame, frame)
		}, framing.ErrorBadNonce},
		{"left-out nonce", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			seal(w.t, s, framing.OpHello, hello, 1, false)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false))
		}, framing.ErrorBadNonce},
		{"another network", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 9), framing.OpHello, hello, 1, false))
		}, framing.ErrorWrongNetwork},
		{"oversized", func(_ *world, p *peer) {
			p.write(protowire.AppendVarint(nil, framing.MaxMessageSize+1))
		}, framing.ErrorTooLarge},
		{"truncated", func(w *world, p *peer) {
			frame := seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, hello, 1, false)
			p.write(frame[:len(frame)-1])
			p.stream.Close()
		}, framing.ErrorMalformed},
		{"no protobuf", func(_ *world, p *peer) {
			p.write([]byte{4, 0xff, 0xff, 0xff, 0xff})
		}, framing.ErrorMalformed},
		{"reply to nothing", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false),
				seal(w.t, s, framing.OpReleased, &framing.Released{}, 77, true))
		}, framing.ErrorUnexpectedMessage},
		{"request without a nonce", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpKeepalive, &framing.Keepalive{}, 0, false))
		}, framing.ErrorUnexpectedMessage},
		{"Progress as a request", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, moving, 1, false), seal(w.t, s, framing.OpProgress, &framing.Progress{}, 2, false))
		}, framing.ErrorUnexpectedMessage},
		{"Progress where relays do not move", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpProgress, &framing.Progress{}, 0, false))
		}, framing.ErrorUnexpectedMessage},
		{"Drain without a nonce", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpDrain, &framing.Drain{}, 0, false))
		}, framing.ErrorUnexpectedMessage},
		{"a reply that is no reply", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpDrained, &framing.Drained{}, 2, false))
		}, framing.ErrorUnexpectedMessage},
		{"Drain that cannot be decoded", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false), seal(w.t, s, framing.OpDrain, undecodable(w.t), 2, false))
		}, framing.ErrorMalformed},
		{"control stream reset", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, hello, 1, false))
			p.wantReply(1, framing.OpWelcome, 0)
			p.stream.CancelWrite(0)
		}, framing.ErrorMalformed},
		{"control stream stopped", func(w *world, p *peer) {
			s := p.sealer(w.nodeKey, framing.RoleNode, 0)
			p.write(seal(w.t, s, framing.OpHello, hello, 1, false))
			p.wantReply(1, framing.OpWelcome, 0)
			p.stream.CancelRead(0)
			time.Sleep(time.Second)
			p.write(seal(w.t, s, framing.OpKeepalive, &framing.Keepalive{}, 2, false))
		}, framing.ErrorMalformed},
		{"control stream closed", func(w *world, p *peer) {
			p.write(seal(w.t, p.sealer(w.nodeKey, framing.RoleNode, 0), framing.OpHello, hello, 1, false))
			p.stream.Close()
		}, framing.NoError},
		{"silence", func(*world, *peer) { time.Sleep(conn.HelloTimeout) }, framing.ErrorKeepaliveTimeout},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer()
				p := dialServer(w)
				test.send(w, p)
				p.wantClose(test.code)
				eventually(t, "the server forgot it", func() bool { return len(server.server.Status().Sessions) == 0 })
				w.startNode(expose("web", web)).leases.wait(t, 1) // others are served as before
			})
		})
	}
}

// undecodable is a message that no type decodes: of its field 2, which others have as text, it makes invalid
// UTF-8.
func undecodable(t *testing.T) proto.Message {
	t.Helper()
	m := new(framing.Keepalive)
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), []byte{0xff}))
	return m
}

// TestBadRequests: they are refused one by one, and the connection lives.
func TestBadRequests(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		p.wantReply(1, framing.OpWelcome, 0)
		long := "tcp://" + strings.Repeat("x", 2000) + ":80"
		for i, test := range []struct {
			op      framing.Opcode
			message proto.Message
			want    framing.Opcode
			code    framing.ErrorCode
		}{
			{4711, &framing.Keepalive{}, framing.OpFailure, framing.ErrorUnknownOpcode},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "W!", OriginAddress: web}, framing.OpFailure, framing.ErrorBadRequest},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: "http:/"}, framing.OpFailure, framing.ErrorBadRequest},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: long}, framing.OpFailure, framing.ErrorBadRequest},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: web, WantedPort: 1 << 20}, framing.OpFailure, framing.ErrorPortOutOfRange},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: web, WantedPort: 80}, framing.OpFailure, framing.ErrorPortOutOfRange},
			{framing.OpRelease, &framing.Release{Service: "web"}, framing.OpFailure, framing.ErrorBadRequest},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: web}, framing.OpProxyResponse, 0},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: "tcp://" + web}, framing.OpProxyResponse, 0},
			{framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", OriginAddress: web, WantedPort: 20005}, framing.OpProxyResponse, 0},
			{framing.OpKeepalive, &framing.Keepalive{}, framing.OpKeepaliveResponse, 0},
			{framing.OpRelease, &framing.Release{Service: "web"}, framing.OpReleased, 0},
			{framing.OpDrain, &framing.Drain{}, framing.OpDrained, 0},
		} {
			nonce := uint64(i + 2)
			p.write(seal(t, s, test.op, test.message, nonce, false))
			p.wantReply(nonce, test.want, test.code)
		}
		if leases := w.store; leases != nil {
			if list, err := leases.List(t.Context()); len(list) != 0 || err != nil {
				t.Errorf("after the release: %v, %v", list, err)
			}
		}
	})
}

func (p *peer) wantReply(nonce uint64, op framing.Opcode, code framing.ErrorCode) framing.Envelope {
	p.t.Helper()
	p.stream.SetReadDeadline(time.Now().Add(time.Minute))
	envelope, err := p.opener.Open(p.reader)
	if err != nil {
		p.t.Fatal(err)
	}
	if envelope.Opcode != op || !envelope.Reply || envelope.RequestNonce != nonce {
		p.t.Fatalf("got %+v, want %v to %d", envelope, op, nonce)
	}
	var failure framing.Failure
	if op == framing.OpFailure {
		if err := envelope.Decode(&failure); err != nil || failure.Text == "" {
			p.t.Fatalf("%v %v", &failure, err)
		}
	}
	if got := framing.ErrorCode(failure.Code); got != code {
		p.t.Errorf("request %d failed with %v, want %v: %s", nonce, got, code, failure.Text)
	}
	return envelope
}

// TestNodeDistrustsServer: what a server sends is checked as strictly.
func TestNodeDistrustsServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		socket, err := w.machine.ListenUDP(serverUDP)
		if err != nil {
			t.Fatal(err)
		}
		tlsConfig, err := certs.ServerTLS(w.key)
		if err != nil {
			t.Fatal(err)
		}
		transport := &quic.Transport{Conn: socket, ConnectionIDLength: quicconfig.ServerConnectionIDLength}
		listener, err := transport.Listen(tlsConfig, quicconfig.Server(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { transport.Close(); socket.Close() })
		w.startNode(expose("web", web))

		next := func() (*peer, *framing.Sealer) {
			conn, err := listener.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stream, err := conn.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			id := w.nodeKey.ID()
			p := &peer{t: t, conn: conn, stream: stream, reader: bufio.NewReader(stream),
				opener: framing.NewOpener(id[:], framing.RoleNode, bindingOf(t, conn, 0))}
			if envelope, err := p.opener.Open(p.reader); err != nil || envelope.Opcode != framing.OpHello {
				t.Fatalf("%+v %v", envelope, err)
			}
			return p, p.sealer(w.key, framing.RoleServer, 0)
		}
		welcome := &framing.Welcome{}

		p, _ := next() // not signed by the server
		p.write(seal(t, p.sealer(newKey(t), framing.RoleServer, 0), framing.OpWelcome, welcome, 1, true))
		p.wantClose(framing.ErrorForeignKey)

		p, s := next() // a reply that nobody waits for
		p.write(seal(t, s, framing.OpWelcome, welcome, 99, true))
		p.wantClose(framing.ErrorUnexpectedMessage)

		p, s = next() // a wrong kind of reply
		p.write(seal(t, s, framing.OpReleased, &framing.Released{}, 1, true))
		p.wantClose(framing.ErrorUnexpectedMessage)

		p, s = next()
		p.write(seal(t, s, framing.OpWelcome, welcome, 1, true))
		for name, test := range map[string]struct {
			bytes []byte
			code  framing.ErrorCode
		}{
			"garbage":         {[]byte{3, 0xff, 0xff, 0xff}, framing.ErrorBadHeader},
			"oversized":       {protowire.AppendVarint(nil, framing.MaxHeaderSize+1), framing.ErrorBadHeader},
			"unknown service": {headerFor(t, "nobody"), framing.ErrorUnknownService},
			"no upstream":     {headerFor(t, "web"), framing.ErrorUpstreamRefused},
			"no header":       {[]byte{1}, framing.ErrorBadHeader},
		} {
			stream, err := p.conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(test.bytes)
			_, err = stream.Read(make([]byte, 1))
			if code, ok := quicstream.RemoteCode(err); !ok || code != test.code {
				t.Errorf("%s: %v, want %v", name, err, test.code)
			}
			quicstream.Reset(stream, framing.NoError)
		}
		p.write(seal(t, s, 4711, &framing.Keepalive{}, 1, false), seal(t, s, 4712, &framing.Keepalive{}, 0, false))
		for {
			envelope, err := p.opener.Open(p.reader)
			if err != nil {
				t.Fatal(err)
			}
			if envelope.Reply {
				if envelope.Opcode != framing.OpFailure || envelope.RequestNonce != 1 {
					t.Errorf("unknown request answered by %+v", envelope)
				}
				break
			}
		}
	})
}

func headerFor(t *testing.T, service string) []byte {
	t.Helper()
	header, err := framing.AppendStreamHeader(nil, &framing.StreamHeader{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return header
}
