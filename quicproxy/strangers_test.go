package quicproxy_test

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/encoding/protowire"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/quicconfig"
)

// TestBeforeWelcome: a client that uses more than a stranger may is closed, with a code, and leaves nothing
// on the account.
func TestBeforeWelcome(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, p *peer)
		code framing.ErrorCode
	}{
		{"a Hello without end", func(t *testing.T, p *peer) {
			p.stream.Write(protowire.AppendVarint(nil, framing.MaxMessageSize))
			for range 50 {
				p.stream.Write(make([]byte, 128))
				time.Sleep(20 * time.Millisecond)
			}
		}, framing.ErrorTooLarge},
		{"nothing", func(*testing.T, *peer) {}, framing.ErrorKeepaliveTimeout},
		{"a byte", func(_ *testing.T, p *peer) { p.stream.Write([]byte("x")) }, framing.ErrorKeepaliveTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer().server
				p := dialServer(w)
				test.do(t, p)
				p.wantClose(test.code)
				time.Sleep(time.Second)
				if n := server.Inspect().Strangers; n != 0 {
					t.Errorf("%d are watched still", n)
				}
			})
		})
	}
}

// losing is a socket that loses the datagrams that its owner chooses.
type losing struct {
	net.PacketConn
	lose func(b []byte) bool
}

func (l losing) WriteTo(b []byte, to net.Addr) (int, error) {
	if l.lose(b) {
		return len(b), nil
	}
	return l.PacketConn.WriteTo(b, to)
}

// TestKnocks: a node gets in as soon as one of its packets follows a knock, and never without one.
func TestKnocks(t *testing.T) {
	for _, test := range []struct {
		name   string
		lost   int // knocks at the beginning
		within time.Duration
		silent bool
	}{
		{"nothing is lost", 0, 200 * time.Millisecond, true},
		{"the first knock is lost", 1, 700 * time.Millisecond, true},
		{"three knocks are lost", 3, 2 * time.Second, true},
		{"all are lost, and nobody listens for them", 1 << 30, 200 * time.Millisecond, false},
		{"all are lost", 1 << 30, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				server := w.startServer(func(c *ServerConfig) { c.AnswerStrangers = !test.silent }).server
				var lost atomic.Int64
				begin := time.Now()
				w.startNode(expose("web", web), func(c *NodeConfig) {
					c.ListenPacket = func() (net.PacketConn, error) {
						socket, err := w.home.ListenUDP(0)
						return losing{socket, func(b []byte) bool { return framing.IsKnock(b) && lost.Add(1) <= int64(test.lost) }}, err
					}
				})
				if test.within == 0 {
					time.Sleep(time.Minute)
					if len(server.Status().Sessions) != 0 || lost.Load() == 0 {
						t.Error("it got in without a knock")
					}
					return
				}
				eventually(t, "connected", func() bool { return len(server.Status().Sessions) == 1 })
				if took := time.Since(begin); took > test.within+100*time.Millisecond {
					t.Errorf("it took %v, want %v", took, test.within)
				}
			})
		})
	}
}

// TestServerBeforeWelcome: a node accepts little from a server that has not welcomed it.
func TestServerBeforeWelcome(t *testing.T) {
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
		accepted, err := listener.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 32 {
			s, err := accepted.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			s.SetWriteDeadline(time.Now().Add(time.Second))
			s.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
		p := &peer{t: t, conn: accepted}
		p.wantClose(framing.ErrorTooLarge)
	})
}
