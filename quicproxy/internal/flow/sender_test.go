package flow

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/quicstream"
)

// link is a connection that sends a packet of 1250 bytes each millisecond, as quic-go fills them: datagrams
// first, of which it queues 32, then what streams have.
type link struct {
	ctx     context.Context
	streams bool // always have something

	mu        sync.Mutex
	room      *sync.Cond
	datagrams [][]byte
	got       map[uint64]int // bytes of each flow
	order     []framing.Datagram
	sent      uint64
	ofStreams uint64
	opened    []*bytes.Buffer
	ended     bool
}

const packet = 1250

func newLink(ctx context.Context, streams bool) *link {
	l := &link{ctx: ctx, streams: streams, got: make(map[uint64]int)}
	l.room = sync.NewCond(&l.mu)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.pack()
			case <-ctx.Done():
				l.mu.Lock()
				l.ended = true
				l.room.Broadcast()
				l.mu.Unlock()
				return
			}
		}
	}()
	return l
}

func (l *link) pack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := packet
	for len(l.datagrams) > 0 && len(l.datagrams[0]) <= room {
		data := l.datagrams[0]
		l.datagrams = l.datagrams[1:]
		room -= len(data)
		d, err := framing.ParseDatagram(data)
		if err != nil {
			panic(err)
		}
		l.got[d.Flow] += len(data)
		l.order = append(l.order, d)
	}
	if l.streams && room > 128 {
		l.ofStreams += uint64(room)
		room = 0
	}
	l.sent += uint64(packet - room)
	l.room.Broadcast()
}

func (l *link) SendDatagram(data []byte) error {
	if len(data) > packet-50 {
		return &quic.DatagramTooLargeError{MaxDatagramPayloadSize: packet - 50}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.datagrams) >= 32 && !l.ended {
		l.room.Wait()
	}
	if l.ended {
		return l.ctx.Err()
	}
	l.datagrams = append(l.datagrams, bytes.Clone(data))
	return nil
}

func (l *link) Sent() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

func (l *link) Context() context.Context { return l.ctx }

func (l *link) OpenUniStream(context.Context) (quicstream.SendStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := new(bytes.Buffer)
	l.opened = append(l.opened, b)
	return sendStream{b}, nil
}

type sendStream struct{ *bytes.Buffer }

func (s sendStream) WriteWithLimit(b []byte, _ func(int) int) (int, error) { return s.Write(b) }
func (sendStream) Close() error                                            { return nil }
func (sendStream) CancelWrite(quic.StreamErrorCode)                        {}

// sendTo runs f with a Sender over a link, and checks that nothing is left of it.
func sendTo(t *testing.T, streams bool, f func(s *Sender, l *link, counters *Counters)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		l, counters, accounts := newLink(ctx, streams), new(Counters), memory.New(64<<20)
		s := NewSender(l, accounts.Account(1), counters)
		f(s, l, counters)
		end()
		s.Close()
		if s.waits != 0 || accounts.Used() != 0 {
			t.Errorf("%d bytes wait, %d are held", s.waits, accounts.Used())
		}
	})
}

// flood sends more than the link carries, for so long.
func flood(s *Sender, service string, flow uint64, size int, long time.Duration) {
	for begin := time.Now(); time.Since(begin) < long; time.Sleep(time.Millisecond) {
		for bytes := 0; bytes < 2*packet; bytes += size {
			s.Send(service, framing.Datagram{Flow: flow, Payload: make([]byte, size)})
		}
	}
}

// TestFloodLeavesStreams: a flood of datagrams, large or small, leaves streams their share of the connection,
// and takes nearly all that it can take while they need nothing.
func TestFloodLeavesStreams(t *testing.T) {
	t.Parallel()
	for _, size := range []int{20, 500, 1150} {
		possible := 100 * min(32, packet/(size+1)) * (size + 1) / packet // in percent
		for _, streams := range []bool{true, false} {
			sendTo(t, streams, func(s *Sender, l *link, counters *Counters) {
				flood(s, "a", 1, size, 3*time.Second)
				l.mu.Lock()
				defer l.mu.Unlock()
				ofFlows, ofStreams := l.got[1]*100/(3000*packet), int(l.ofStreams)*100/(3000*packet)
				t.Logf("size %d, streams want %v: flows %d %% of %d, streams %d %%", size, streams, ofFlows, possible, ofStreams)
				if streams && ofStreams < 15 || ofFlows*100/possible < map[bool]int{true: 60, false: 85}[streams] {
					t.Error("one has too little")
				}
				if counters.Overflow.Load() == 0 {
					t.Error("nothing was dropped")
				}
			})
		}
	}
}

// TestServicesShare: a flood of one service takes no more than half of the connection from another one, and
// delays one that sends little by no more than a turn.
func TestServicesShare(t *testing.T) {
	t.Parallel()
	sendTo(t, true, func(s *Sender, l *link, _ *Counters) {
		var floods sync.WaitGroup
		floods.Go(func() { flood(s, "a", 1, 1000, 2*time.Second) })
		floods.Go(func() { flood(s, "b", 2, 100, 2*time.Second) })
		time.Sleep(time.Second)
		begin := time.Now()
		s.Send("c", framing.Datagram{Flow: 3, Payload: []byte("x")})
		for l.bytesOf(3) == 0 && time.Since(begin) < time.Second {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("a single datagram took %v", took)
		}
		floods.Wait()
		if a, b := l.bytesOf(1), l.bytesOf(2); a > 2*b || b > 2*a {
			t.Errorf("one service has %d, the other %d bytes", a, b)
		}
	})
}

func (l *link) bytesOf(flow uint64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got[flow]
}

// TestLargeOnStream: what does not fit goes over a stream, whole and in order, and the stream ends when it is
// idle.
func TestLargeOnStream(t *testing.T) {
	t.Parallel()
	sendTo(t, false, func(s *Sender, l *link, counters *Counters) {
		sizes := []int{packet, 4096, framing.MaxPayload, 0, 1300}
		for _, size := range sizes {
			s.Send("a", framing.Datagram{Flow: 7, Payload: bytes.Repeat([]byte{byte(size)}, size)})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.opened) != 1 || len(l.order) != 1 || len(l.order[0].Payload) != 0 {
			t.Fatalf("%d streams, datagrams %v", len(l.opened), l.order)
		}
		if first, _ := l.opened[0].ReadByte(); first != framing.DatagramStream {
			t.Errorf("the stream begins with %d", first)
		}
		for _, size := range []int{packet, 4096, framing.MaxPayload, 1300} {
			d, err := framing.ReadDatagramRecord(l.opened[0], nil)
			if err != nil || d.Flow != 7 || !bytes.Equal(d.Payload, bytes.Repeat([]byte{byte(size)}, size)) {
				t.Errorf("flow %d, %d bytes, %v; want %d", d.Flow, len(d.Payload), err, size)
			}
		}
		if counters.Sent.Load() != uint64(len(sizes)) || s.waits != 0 {
			t.Errorf("%d sent, %d bytes wait", counters.Sent.Load(), s.waits)
		}
	})
}

// TestSent: only datagrams with a payload count, whatever their flow.
func TestSent(t *testing.T) {
	t.Parallel()
	sendTo(t, false, func(s *Sender, l *link, counters *Counters) {
		for _, number := range []uint64{1, 1000, framing.MaxFlow} {
			s.Send("a", framing.Datagram{Flow: number, Payload: []byte("x")})
			s.Send("a", framing.Datagram{Flow: number, Kind: framing.DatagramFirst, Header: &framing.FlowHeader{Service: "a"}})
			s.Send("a", framing.Datagram{Flow: number, Kind: framing.DatagramKnown})
			s.Send("a", framing.Datagram{Flow: number, Kind: framing.DatagramUnknown})
		}
		time.Sleep(time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := counters.Sent.Load(); n != 6 || len(l.order) != 12 {
			t.Errorf("%d of %d datagrams count, want 6 of 12", n, len(l.order))
		}
	})
}

// TestNoMemory: nothing waits beyond the memory budget, and what is dropped is counted.
func TestNoMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		l, counters, accounts := newLink(ctx, false), new(Counters), memory.New(128<<10)
		s := NewSender(l, accounts.Account(1), counters)
		const all = 1000
		for range all {
			s.Send("a", framing.Datagram{Flow: 1, Payload: make([]byte, 1000)})
		}
		if used := accounts.Used(); used > 160<<10 {
			t.Errorf("%d bytes are held", used)
		}
		time.Sleep(10 * time.Millisecond) // some go out
		s.EndForMemory(nil, nil)
		time.Sleep(10 * time.Second)
		if dropped, sent := counters.Dropped()["memory"], counters.Sent.Load(); dropped+sent != all || sent == 0 || sent > 200 {
			t.Errorf("%d dropped, %d sent of %d", dropped, sent, all)
		}
		end()
		s.Close()
		s.Send("a", framing.Datagram{Flow: 1})
		if counters.Away.Load() != 1 || accounts.Used() != 0 {
			t.Errorf("after the end: %v, %d bytes", counters.Dropped(), accounts.Used())
		}
	})
}
