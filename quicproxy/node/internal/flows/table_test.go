package flows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/quicstream"
)

// wire is a connection to a server that notes what is sent.
type wire struct {
	ctx context.Context

	mu   sync.Mutex
	sent []string
}

func (w *wire) SendDatagram(b []byte) error {
	d, err := framing.ParseDatagram(b)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, fmt.Sprintf("%d:%d:%s", d.Flow, d.Kind, d.Payload))
	return nil
}

func (w *wire) OpenUniStream(context.Context) (quicstream.SendStream, error) {
	return nil, errors.New("no streams")
}
func (w *wire) Sent() uint64             { return 0 }
func (w *wire) Context() context.Context { return w.ctx }

// take returns what was sent since the last call.
func (w *wire) take() (sent []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	sent, w.sent = w.sent, nil
	return sent
}

// service is the socket of a flow; its other end is the service.
type service struct {
	net.PacketConn
	got      []string
	answers  chan string
	deadline chan time.Time
	timer    <-chan time.Time // the reader's
	gone     chan struct{}
	once     sync.Once
}

func (s *service) Write(b []byte) (int, error) { s.got = append(s.got, string(b)); return len(b), nil }
func (s *service) Read([]byte) (int, error)    { panic("datagrams are read") }
func (s *service) RemoteAddr() net.Addr        { return nil }
func (s *service) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		select {
		case answer := <-s.answers:
			return copy(b, answer), &net.UDPAddr{}, nil
		case at := <-s.deadline:
			s.timer = time.After(time.Until(at))
		case <-s.timer:
			return 0, nil, os.ErrDeadlineExceeded
		case <-s.gone:
			return 0, nil, net.ErrClosed
		}
	}
}
func (s *service) SetReadDeadline(t time.Time) error { s.deadline <- t; return nil }
func (s *service) Close() error                      { s.once.Do(func() { close(s.gone) }); return nil }

// bench is a table with what surrounds it.
type bench struct {
	*Table
	counters flow.Counters

	prefix func(client, public string) []byte

	mu      sync.Mutex
	dialled []*service
}

func newBench(most int) *bench {
	b := &bench{prefix: func(string, string) []byte { return nil }}
	b.Table = New(Config{
		Dial: func(_ context.Context, _, client, public string) (net.Conn, []byte, error) {
			s := &service{answers: make(chan string), deadline: make(chan time.Time, 100), gone: make(chan struct{})}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.dialled = append(b.dialled, s)
			return s, b.prefix(client, public), nil
		},
		Has: func(name string) bool { return name == "game" || name == "dns" }, Most: most, Counters: &b.counters,
	})
	return b
}

// connect returns a connection to a process of the server.
func connect(t *testing.T) (*wire, *flow.Sender) {
	w := &wire{ctx: t.Context()}
	s := flow.NewSender(w, memory.New(1<<20).Account(1), new(flow.Counters))
	return w, s
}

func first(number uint64, from, payload string) framing.Datagram {
	return framing.Datagram{
		Flow: number, Kind: framing.DatagramFirst, Payload: []byte(payload),
		Header: &framing.FlowHeader{Service: "game", ClientAddress: from, IdleSeconds: 60},
	}
}

// TestTable: a flow has one socket whatever its number; nothing is sent under a number that another process of
// the server may have given to somebody else.
func TestTable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(10)
		old, via := connect(t)
		b.Use(via, 1)
		want := func(w *wire, want ...string) {
			t.Helper()
			if got := w.take(); !slices.Equal(got, want) {
				t.Errorf("sent %v, want %v", got, want)
			}
		}
		b.Handle(via, 1, first(5, "192.0.2.1:7", "a"))
		want(old, "5:2:")
		b.Handle(via, 1, framing.Datagram{Flow: 5, Payload: []byte("b")})
		b.dialled[0].answers <- "c"
		want(old, "5:0:c")
		b.Handle(via, 1, first(5, "192.0.2.1:7", "again")) // the server did not get the answer yet
		want(old)
		b.Handle(via, 1, framing.Datagram{Flow: 6, Payload: []byte("x")})
		want(old, "6:3:")

		renewed, next := connect(t) // the server was restarted
		b.Use(next, 2)
		b.dialled[0].answers <- "late"
		b.Handle(next, 2, first(5, "192.0.2.9:7", "stranger"))
		want(renewed, "5:2:")
		b.Handle(via, 1, framing.Datagram{Flow: 5, Payload: []byte("from the dead")})
		b.Handle(next, 2, first(8, "192.0.2.1:7", "d"))
		want(renewed, "8:2:")
		want(old, "5:3:")
		b.dialled[0].answers <- "e"
		want(renewed, "8:0:e")
		b.dialled[1].answers <- "f"
		want(renewed, "5:0:f")
		if len(b.dialled) != 2 || !slices.Equal(b.dialled[0].got, []string{"a", "b", "again", "d"}) || !slices.Equal(b.dialled[1].got, []string{"stranger"}) {
			t.Errorf("%d sockets; services got %v, %v", len(b.dialled), b.dialled[0].got, b.dialled[1].got)
		}
		b.Handle(next, 2, framing.Datagram{Flow: 8, Kind: framing.DatagramUnknown})
		synctest.Wait()
		if b.Len() != 1 {
			t.Errorf("%d flows are left", b.Len())
		}
		b.Leave(next)
		b.dialled[1].answers <- "nobody hears"
		want(renewed)
		if b.counters.Away.Load() != 2 || b.counters.NoFlow.Load() != 2 {
			t.Errorf("dropped %v", b.counters.Dropped())
		}
		begin := time.Now()
		b.running.Wait() // it is idle
		if took := time.Since(begin); took < 60*time.Second || took > 80*time.Second || b.Len()+b.places.Open() != 0 {
			t.Errorf("after %v %d flows are left with %d places", took, b.Len(), b.places.Open())
		}
		b.Close()
	})
}

// TestPrefix: a service that is to be told of its clients gets that before each datagram, also before those that
// came when there was no socket yet.
func TestPrefix(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(10)
		b.prefix = func(client, public string) []byte { return []byte(client + ">" + public + " ") }
		_, via := connect(t)
		b.Use(via, 1)
		d := first(5, "192.0.2.1:7", "a")
		d.Header.PublicAddress = "203.0.113.5:20000"
		b.Handle(via, 1, d)
		b.Handle(via, 1, framing.Datagram{Flow: 5, Payload: []byte("b")})
		synctest.Wait()
		b.Handle(via, 1, framing.Datagram{Flow: 5, Payload: nil})
		large := framing.Datagram{Flow: 5, Payload: make([]byte, 1<<16)}
		b.Handle(via, 1, large)
		b.Close()
		const prefix = "192.0.2.1:7>203.0.113.5:20000 "
		if got := b.dialled[0].got; !slices.Equal(got, []string{prefix + "a", prefix + "b", prefix}) {
			t.Errorf("the service got %q", got)
		}
		if n := b.counters.Socket.Load(); n != 1 {
			t.Errorf("%d datagrams were counted as too large", n)
		}
	})
}

// TestServerOpensFlows: a server that begins flows without limit gets as many as the node has places for
// them, and they end.
func TestServerOpensFlows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(100)
		_, via := connect(t)
		b.Use(via, 1)
		for i := range 5000 {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7)
			b.Handle(via, 1, first(uint64(i+1), from.String(), "x"))
		}
		b.Handle(via, 1, framing.Datagram{Flow: 9000, Kind: framing.DatagramFirst, Header: &framing.FlowHeader{Service: "other"}})
		b.Handle(via, 1, framing.Datagram{Flow: 9000, Kind: framing.DatagramKnown})
		synctest.Wait()
		if n := b.Len(); n > 100 || b.places.Open() != n || len(b.byNumber) != n || b.counters.NoPlace.Load() == 0 || b.counters.Malformed.Load() != 1 {
			t.Errorf("%d flows, %d places, %d numbers, dropped %v", n, b.places.Open(), len(b.byNumber), b.counters.Dropped())
		}
		b.Close()
		if b.Len()+b.places.Open()+len(b.byNumber) != 0 {
			t.Errorf("%d flows are left", b.Len())
		}
		b.Handle(via, 1, first(1, "192.0.2.1:7", "late"))
		if b.Len()+b.places.Open() != 0 {
			t.Error("a flow begins after the end")
		}
	})
}
