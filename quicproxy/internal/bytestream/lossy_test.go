package bytestream

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"apquic/framing"
	"apquic/internal/testnet"
	"apquic/internal/testrace"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
)

// realConn is a QUIC connection as relays use it.
type realConn struct {
	*quic.Conn
	control *quic.Stream
	mu      sync.Mutex // of writes to control
}

func (c *realConn) OpenStream(ctx context.Context) (quicstream.Stream, error) {
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *realConn) OpenUniStream(ctx context.Context) (quicstream.SendStream, error) {
	s, err := c.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *realConn) RTT() time.Duration          { return c.ConnectionStats().SmoothedRTT }
func (c *realConn) Received() uint64            { return c.ConnectionStats().PacketsReceived }
func (c *realConn) Abandoned(quicstream.Stream) {}
func (c *realConn) Left()                       {}

func (c *realConn) SendProgress(p *framing.Progress) error {
	b, err := proto.Marshal(p)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.control.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	return err
}

// hear handles what the other side tells.
func (c *realConn) hear(a *association.Association, at *association.Carrier) {
	r := bufio.NewReader(c.control)
	for {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return
		}
		b := make([]byte, n)
		var p framing.Progress
		if _, err := io.ReadFull(r, b); err != nil || proto.Unmarshal(b, &p) != nil {
			return
		}
		if len(p.Relays) > 0 {
			a.Handle(at, &p)
		}
	}
}

var realConfig = &quic.Config{
	InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 4 << 20,
	InitialConnectionReceiveWindow: 1 << 40, MaxConnectionReceiveWindow: 1 << 40,
	EnableStreamResetPartialDelivery: true, DisablePathMTUDiscovery: true, InitialPacketSize: 1252, KeepAlivePeriod: 5 * time.Second,
}

// lossy is a server and a node that are connected over a network that loses packets.
type lossy struct {
	*testing.T
	server, node *association.Association
	conns        []*realConn
	carriers     []*association.Carrier
	serve        func(Stream)
	working      sync.WaitGroup
}

func newLossy(t *testing.T, conns int) *lossy {
	l := &lossy{T: t, server: association.New(1, time.Minute), node: association.New(2, time.Minute)}
	network := testnet.New(t)
	network.SetLatency(25 * time.Millisecond)
	network.SetLoss(0.01, 1)
	listener, err := l.transport(network.Host("198.51.100.1"), 8090).Listen(serverTLS(t), realConfig)
	if err != nil {
		t.Fatal(err)
	}
	host := network.Host("203.0.113.1")
	for i := range conns {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"test"}}
		c, err := l.transport(host, 0).Dial(t.Context(), &net.UDPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 8090}, config, realConfig)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.join(l.node, c, i > 0)
		l.carriers = append(l.carriers, l.join(l.server, accepted, i > 0))
	}
	return l
}

func (l *lossy) transport(h *testnet.Host, port uint16) *quic.Transport {
	conn, err := h.ListenUDP(port)
	if err != nil {
		l.Fatal(err)
	}
	transport := &quic.Transport{Conn: conn, ConnectionIDLength: 8}
	l.Cleanup(func() {
		transport.Close()
		conn.Close()
	})
	return transport
}

func (l *lossy) join(a *association.Association, q *quic.Conn, lane bool) *association.Carrier {
	c := &realConn{Conn: q}
	carrier := &association.Carrier{Conn: c, Lane: lane}
	var err error
	if a == l.node {
		if c.control, err = q.OpenStreamSync(l.Context()); err == nil {
			err = c.SendProgress(new(framing.Progress))
		}
	} else {
		c.control, err = q.AcceptStream(l.Context())
	}
	if err != nil {
		l.Fatal(err)
	}
	l.conns = append(l.conns, c)
	l.working.Go(func() { c.hear(a, carrier) })
	a.Join(carrier)
	l.working.Go(func() {
		for {
			stream, err := q.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			l.working.Go(func() { ServeStripe(a, carrier, stream) })
		}
	})
	if a == l.node {
		l.working.Go(func() { l.accept(carrier, q) })
	}
	return carrier
}

func (l *lossy) accept(c *association.Carrier, q *quic.Conn) {
	for {
		stream, err := q.AcceptStream(context.Background())
		if err != nil {
			return
		}
		l.working.Go(func() {
			if header, err := framing.ReadStreamHeader(stream); err == nil {
				if s, err := Accept(l.node, c, stream, header); s != nil && err == nil {
					l.serve(s)
				}
			}
		})
	}
}

func (l *lossy) close() {
	l.server.End(framing.ErrorRelayShutdown)
	l.node.End(framing.ErrorRelayShutdown)
	for _, c := range l.conns {
		c.CloseWithError(0, "")
	}
	l.working.Wait()
}

func serverTLS(t *testing.T) *tls.Config {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, NextProtos: []string{"test"}}
}

// rate is how many bytes so many relays carry to the node each second, once they run, over so many connections with a round
// trip of 50 ms and 1 % loss.
func rate(t *testing.T, relays, conns int, measured time.Duration) (bytes int) {
	synctest.Test(t, func(t *testing.T) {
		l := newLossy(t, conns)
		defer l.close()
		var received atomic.Int64
		l.serve = func(s Stream) {
			s.Write([]byte("x"))
			b := make([]byte, buffer.Size)
			for {
				n, err := s.Read(b)
				if received.Add(int64(n)); err != nil {
					s.Discard(framing.ErrorRelayReset)
					s.Finish()
					return
				}
			}
		}
		for i := range relays {
			carrier := l.carriers[i%conns]
			stream, err := carrier.OpenStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s, err := Begin(l.server, carrier, stream, &framing.StreamHeader{Service: "web"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.working.Go(func() {
				var reading sync.WaitGroup
				reading.Go(func() { io.Copy(io.Discard, s) })
				for {
					if s.WriteBuffer(buffer.New(buffer.Size)) != nil {
						break
					}
				}
				s.Discard(framing.ErrorRelayReset)
				reading.Wait()
				s.Finish()
			})
		}
		for _, c := range l.carriers {
			l.server.SetLossy(c, true)
		}
		time.Sleep(testrace.Whole(10*time.Second, time.Second))
		before, sent := received.Load(), l.sent()
		time.Sleep(measured)
		bytes = int(float64(received.Load()-before) / measured.Seconds())
		t.Logf("%d relays over %d connections: %.2f MB/s, %.2f sent", relays, conns, float64(bytes)/1e6, float64(l.sent()-sent)/measured.Seconds()/1e6)
	})
	return bytes
}

func (l *lossy) sent() (bytes uint64) {
	for _, c := range l.carriers {
		bytes += c.Conn.(*realConn).ConnectionStats().BytesSent
	}
	return bytes
}

// TestLossyThroughput: stripes carry what all connections together can, however many relays there are.
func TestLossyThroughput(t *testing.T) {
	t.Parallel()
	during := testrace.Whole(10*time.Second, time.Second)
	eight := rate(t, 8, 16, during)
	if testrace.Detector {
		return // the lanes have just begun
	}
	alone, one := rate(t, 1, 1, during), rate(t, 1, 16, during)
	if one < 10*alone {
		t.Errorf("16 connections carry %d bytes a second, one %d", one, alone)
	}
	if eight < one*9/10 {
		t.Errorf("eight relays get %d bytes a second, one %d", eight, one)
	}
}
