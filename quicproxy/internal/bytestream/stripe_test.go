package bytestream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/stripes"
)

// striped has a relay with so many lanes beside its connection whose server's direction is striped, after n bytes.
func stripedRelay(t *testing.T, lanes int, test func(r *relayTest, sent int)) {
	t.Helper()
	inBubble(t, "", func(r *relayTest) {
		for range lanes {
			r.connect(true)
		}
		for _, l := range r.open() {
			r.server.SetLossy(l.server, true)
			r.node.SetLossy(l.node, true)
		}
		send(r.service, []byte("x"))
		r.want(r.client, 0, 0)
		if n, err := r.client.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(err) // from now on the server knows that the node has the relay
		}
		const first = bulk + 2*buffer.Size
		done := send(r.client, patternAt(0, first))
		r.want(r.service, 0, first)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.wantState(striped)
		test(r, first)
	})
}

// sentBytes is what the server has written to stripes.
func (r *relayTest) sentBytes() int { return sentOver(r.links) }

// sentOver is what the server has written to all streams of connections.
func sentOver(links []*linked) (bytes int) {
	for _, l := range links {
		l.s.mu.Lock()
		for _, s := range l.s.streams {
			s.mu.Lock()
			bytes += s.sent
			s.mu.Unlock()
		}
		l.s.mu.Unlock()
	}
	return bytes
}

func (s *resumable) heldLocked() int {
	if s.brought == nil {
		return 0
	}
	return s.brought.Memory()
}

// locked looks at a stream, or changes it.
func locked(stream Stream, do func(*resumable)) {
	s := stream.(*resumable)
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s)
}

// wantState wants the server's direction in a state.
func (r *relayTest) wantState(want state) {
	r.t.Helper()
	locked(r.client, func(s *resumable) {
		if s.out.state != want {
			r.t.Errorf("in state %d, not %d", s.out.state, want)
		}
	})
}

// TestStriped: bytes and the end come over stripes as they do over the stream, and nothing stays open that is idle.
func TestStriped(t *testing.T) {
	stripedRelay(t, 3, func(r *relayTest, sent int) {
		done := send(r.client, patternAt(sent, 3<<20))
		r.want(r.service, sent, 3<<20)
		if err := <-done; err != nil {
			t.Error(err)
		}
		used := 0
		for _, l := range r.links {
			if l.node.Records.Load() > 0 {
				used++
			}
		}
		if used != 4 {
			t.Errorf("%d connections were used", used)
		}
		time.Sleep(time.Minute)
		locked(r.client, func(s *resumable) {
			if s.striping.running || len(s.striping.open) > 0 {
				t.Error("stripes stay open")
			}
		})
		locked(r.service, func(s *resumable) {
			if s.brought != nil && len(s.brought.stripes)+s.brought.Memory() > 0 {
				t.Error("stripes are still read")
			}
		})
		done = send(r.client, patternAt(sent+3<<20, 100))
		r.want(r.service, sent+3<<20, 100)
		r.client.CloseWrite()
		r.wantEnd(r.service, io.EOF)
		r.service.CloseWrite()
		r.wantEnd(r.client, io.EOF)
		begin := time.Now()
		r.client.Finish()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("over after %v", took)
		}
		<-done
	})
}

// TestStripesAndResets: what was sent over stripes comes before a reset, and a stop ends them.
func TestStripesAndResets(t *testing.T) {
	t.Run("reset", func(t *testing.T) {
		stripedRelay(t, 3, func(r *relayTest, sent int) {
			if err := <-send(r.client, patternAt(sent, 200_000)); err != nil {
				t.Error(err)
			}
			r.client.Reset(framing.ErrorRelayStalled)
			r.want(r.service, sent, 200_000)
			r.wantReset(r.service, framing.ErrorRelayStalled)
		})
	})
	t.Run("stop", func(t *testing.T) {
		stripedRelay(t, 3, func(r *relayTest, sent int) {
			done := send(r.client, patternAt(sent, 10<<20))
			r.service.CancelRead()
			if err := <-done; !errors.Is(err, ErrStopped) {
				t.Error(err)
			}
			send(r.service, patternAt(0, 1000))
			r.want(r.client, 0, 1000)
		})
	})
}

// TestSlowReaderOfStripes: a slow reader is no slow connection. Nothing is sent twice, and little is held.
func TestSlowReaderOfStripes(t *testing.T) {
	stripedRelay(t, 15, func(r *relayTest, sent int) {
		const rate, seconds = 20_000, 1000
		send(r.client, patternAt(sent, 100<<20))
		for i := range seconds {
			r.want(r.service, sent+i*rate, rate)
			time.Sleep(time.Second)
		}
		if got, bytes := sent+seconds*rate, r.sentBytes(); bytes > got*12/10 {
			t.Errorf("%d bytes were sent, %d read", bytes, got)
		}
		if kept := r.kept.Load(); kept > 4*stripes.MinWindow {
			t.Errorf("%d bytes are held at both sides", kept)
		}
		before := r.sentBytes()
		time.Sleep(time.Hour) // it stops
		if bytes := r.sentBytes() - before; bytes > 2*stripes.MinWindow {
			t.Errorf("%d bytes were sent to a reader that stopped", bytes)
		}
	})
}

// TestStuckStripe: a connection that does not answer holds a striped relay up for a moment; what it had is sent again once.
func TestStuckStripe(t *testing.T) {
	stripedRelay(t, 7, func(r *relayTest, sent int) {
		send(r.client, patternAt(sent, 100<<20))
		got := sent
		read := func(n int) time.Duration {
			begin := time.Now()
			r.want(r.service, got, n)
			got += n
			return time.Since(begin)
		}
		read(2 << 20)
		release := r.links[3].s.hold()
		defer release()
		if took := read(8 << 20); took > 5*time.Second {
			t.Errorf("8 MiB took %v", took)
		}
		r.wantState(striped)
		if bytes := r.sentBytes(); bytes > got+stripes.MaxWindow+2<<20 {
			t.Errorf("%d bytes were sent, %d read", bytes, got)
		}
	})
}

// TestLostStripes: a lane that ends takes nothing along; with the connection of the stream the relay is one stream again.
func TestLostStripes(t *testing.T) {
	stripedRelay(t, 3, func(r *relayTest, sent int) {
		send(r.client, patternAt(sent, 100<<20))
		r.want(r.service, sent, 1<<20)
		r.disconnect(r.links[2], time.Second)
		r.want(r.service, sent+1<<20, 4<<20)
		r.wantState(striped)
		for _, l := range r.open() {
			r.server.SetLossy(l.server, false)
		}
		r.disconnect(r.link, time.Second)
		r.want(r.service, sent+5<<20, 4<<20)
		r.wantState(onStream)
		locked(r.service, func(s *resumable) {
			if held := s.heldLocked(); held > 0 {
				t.Errorf("%d bytes are held", held)
			}
		})
		for _, l := range r.open() {
			r.server.SetLossy(l.server, true)
		}
		r.want(r.service, sent+9<<20, 4<<20)
		r.wantState(striped)
	})
}

// TestLostStripeIsSentAgain at once, also if nobody writes to it later.
func TestLostStripeIsSentAgain(t *testing.T) {
	stripedRelay(t, 3, func(r *relayTest, sent int) {
		var releases []func()
		for _, l := range r.links {
			releases = append(releases, l.s.hold())
		}
		var lost *linked
		n := 0
		for ; lost == nil && n < 60_000; n += 1000 { // what no write waits for
			if err := <-send(r.client, patternAt(sent+n, 1000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			locked(r.client, func(s *resumable) {
				for _, stripe := range s.striping.Stripes() {
					for _, l := range r.links[1:] {
						if l.server == stripe.carrier {
							lost = l
						}
					}
				}
			})
		}
		if lost == nil {
			lost = r.links[1] // by chance no lane has anything
		}
		begin := time.Now()
		r.disconnect(lost, 0)
		for _, release := range releases {
			release()
		}
		r.want(r.service, sent, n)
		if took := time.Since(begin); took > 200*time.Millisecond {
			t.Errorf("after %v", took)
		}
	})
}

// TestStripesRefused: a peer that takes no stripes gets one stream again.
func TestStripesRefused(t *testing.T) {
	stripedRelay(t, 3, func(r *relayTest, sent int) {
		for _, l := range r.links {
			l.n.refuses.Store(true)
		}
		locked(r.service, (*resumable).dropStripesLocked)
		send(r.client, patternAt(sent, 1<<20))
		begin := time.Now()
		r.want(r.service, sent, 1<<20)
		if took := time.Since(begin); took > stripingTimeout+2*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// TestUnknownIsNotStriped: a relay that the node may not have yet stays on its stream, however much it sends.
func TestUnknownIsNotStriped(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		r.window = 1 << 20
		lane := r.connect(true)
		r.server.SetLossy(lane.server, true)
		lane.n.hold() // the node says nothing
		other, err := r.begin(lane, "192.0.2.1:2", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := send(other, patternAt(0, 1<<20))
		time.Sleep(time.Second)
		locked(other, func(s *resumable) {
			if s.striping != nil || s.out.unacked.End() < 2*bulk {
				t.Errorf("striped, or %d bytes sent", s.out.unacked.End())
			}
		})
		other.Discard(framing.ErrorRelayReset)
		other.Finish()
		<-done
	})
}

// TestHostileStripes: a sender that says what cannot be loses the relay, and what it can make the other side hold is bounded.
func TestHostileStripes(t *testing.T) {
	type record struct {
		offset uint64
		length int
		end    bool
	}
	many := func(n int, each func(i int) record) (all []record) {
		for i := range n {
			all = append(all, each(i))
		}
		return all
	}
	for name, test := range map[string]struct {
		records []record
		lives   bool
		held    int
	}{
		"the same again":      {many(100, func(int) record { return record{10, 1000, false} }), true, buffer.Size},
		"overlapping":         {many(100, func(i int) record { return record{uint64(10 + i), 1000, false} }), true, buffer.Size},
		"the whole window":    {many(64, func(i int) record { return record{uint64(i<<16 + 1), 1<<16 - 1, false} }), true, stripes.MaxWindow},
		"single bytes":        {many(1000, func(i int) record { return record{uint64(4000*i + 1), 1, false} }), true, 61 * buffer.Size}, // those of the pages
		"too many gaps":       {many(1100, func(i int) record { return record{uint64(2*i + 1), 1, false} }), false, 0},
		"beyond the window":   {[]record{{stripes.MaxWindow - 10, 11, false}}, false, 0},
		"far beyond":          {[]record{{framing.MaxOffset - framing.MaxRecordSize, 10, true}}, false, 0},
		"another end":         {[]record{{1000, 10, true}, {1000, 20, true}}, false, 0},
		"bytes after the end": {[]record{{1000, 10, true}, {2000, 10, false}}, false, 0},
		"an end before bytes": {[]record{{1000, 10, false}, {500, 10, true}}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(r *relayTest) {
				stream, _ := r.link.s.OpenUniStream(t.Context())
				b, err := framing.AppendStripeHeader(nil, &framing.StripeHeader{Relay: 1, Attempt: 1})
				for _, x := range test.records {
					var err2 error
					b, err2 = framing.AppendRecordHeader(b, &framing.RecordHeader{Offset: x.offset, Length: uint32(x.length), End: x.end})
					b, err = append(b, make([]byte, x.length)...), errors.Join(err, err2)
				}
				if err != nil {
					t.Fatal(err)
				}
				stream.WriteWithLimit(b, nil)
				time.Sleep(time.Second)
				var lives bool
				var held int
				locked(r.service, func(s *resumable) { lives, held = s.in.state == onStream, s.heldLocked() })
				if lives != test.lives || held != test.held {
					t.Errorf("goes on: %v, %d bytes held", lives, held)
				}
			})
		})
	}
	t.Run("thousands", func(t *testing.T) {
		inBubble(t, "", func(r *relayTest) {
			for i := range uint64(3000) {
				stream, _ := r.link.s.OpenUniStream(t.Context())
				b, _ := framing.AppendStripeHeader(nil, &framing.StripeHeader{Relay: 1 + i%3, Attempt: 1 + i/1000%2})
				stream.WriteWithLimit(b, nil)
			}
			time.Sleep(time.Second)
			locked(r.service, func(s *resumable) {
				if n := len(s.brought.stripes); n != maxStripes {
					t.Errorf("%d stripes are read", n)
				}
			})
		})
	})
	t.Run("no header", func(t *testing.T) {
		inBubble(t, "", func(r *relayTest) {
			stream, _ := r.link.s.OpenUniStream(t.Context())
			stream.WriteWithLimit([]byte{10}, nil)
			time.Sleep(stripeHeaderTimeout + time.Second)
			if err := write2(stream); err == nil {
				t.Error("the stripe is still read")
			}
		})
	})
	t.Run("arrived too much", func(t *testing.T) {
		stripedRelay(t, 3, func(r *relayTest, sent int) {
			message := &framing.RelayProgress{Relay: 1, Received: uint64(sent), Arrived: uint64(sent) + 2}
			r.server.Handle(r.link.server, &framing.Progress{Relays: []*framing.RelayProgress{message}})
			if err := <-send(r.client, []byte("x")); err == nil {
				t.Error("the relay goes on")
			}
		})
	})
}

func write2(stream quicstream.SendStream) error {
	_, err := stream.WriteWithLimit(make([]byte, 10), nil)
	return err
}

// TestStripedHistories is TestHistories with much to send, lanes, and loss that limits them now and then.
func TestStripedHistories(t *testing.T) {
	const parts = 4
	var records atomic.Uint64
	t.Cleanup(func() {
		if os.Getenv("SEED") == "" && records.Load() < 5000 {
			t.Errorf("stripes carried %d records", records.Load())
		}
	})
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < histories()/2; seed += parts {
				if only := os.Getenv("SEED"); only != "" && only != fmt.Sprint(seed) {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					e := newEnds(t, seed+1<<32)
					e.much = true
					defer func() { records.Add(e.records.Load()) }()
					if err := e.history(); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestLossOfOthers: relays of a connection that ends resume over the lanes. Of a relay that is striped over all, and whose stream
// is on a lane, nothing is sent again that is under way on the living ones.
func TestLossOfOthers(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		const others, first, size = 10, bulk + 2*buffer.Size, 8 << 20
		served := make(chan Stream, 1)
		r.serve = func(s Stream, _ *framing.StreamHeader) { served <- s }
		begin := func(l *linked) (client, service Stream) {
			client, err := r.begin(l, "192.0.2.1:2", []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			service = <-served
			if _, err := io.ReadFull(service, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			send(service, patternAt(0, 1))
			r.want(client, 0, 1)
			return client, service
		}
		for range 3 {
			r.connect(true)
		}
		links := r.open()
		for _, l := range links {
			r.server.SetLossy(l.server, true)
		}
		client, service := begin(links[1])
		done := send(client, patternAt(0, first+size))
		var pairs [others][2]Stream
		for i := range pairs {
			pairs[i][0], pairs[i][1] = begin(r.link)
		}
		r.want(service, 0, first+1<<20)
		lost, living := underWay(client, r.link)
		r.disconnect(r.link, 0)
		for _, pair := range pairs {
			send(pair[0], patternAt(0, 100))
			r.want(pair[1], 0, 100)
			if n := pair[0].(*resumable).attempt; n != 2 {
				t.Errorf("attempt %d of another relay", n)
			}
		}
		r.want(service, first+1<<20, size-1<<20)
		again, headers := sentOver(links)-first-size, size/500+1000*others
		t.Logf("%d bytes were sent again, of %d that were lost and %d that were under way on living lanes", again, lost, living)
		if again > lost+headers || living < 3*headers {
			t.Error("those on living lanes, too, or there were none")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, pair := range append(pairs[:], [2]Stream{client, service}) {
			for _, s := range pair {
				s.Discard(framing.ErrorRelayShutdown)
				s.Finish()
			}
		}
	})
}

// underWay is how many bytes of a striped relay have not arrived that were given to one connection, and to all others.
func underWay(stream Stream, over *linked) (there, elsewhere int) {
	locked(stream, func(s *resumable) {
		for _, stripe := range s.striping.Stripes() {
			if bytes := int(s.striping.Given(stripe)); stripe.carrier == over.server {
				there += bytes
			} else {
				elsewhere += bytes
			}
		}
	})
	return there, elsewhere
}
