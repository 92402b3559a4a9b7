package bytestream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/quicstream"
)

// relayTest plays one relay between two processes.
type relayTest struct {
	*ends
	t       *testing.T
	link    *linked
	client  Stream // the server's end
	service Stream // the node's
}

// inBubble has test begin with one connection, and one relay over it, of which first was sent with the header.
func inBubble(t *testing.T, first string, test func(*relayTest)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &relayTest{ends: newEnds(t, 1), t: t}
		served := make(chan Stream, 10)
		r.serve = func(s Stream, _ *framing.StreamHeader) { served <- s }
		r.link = r.connect(false)
		var err error
		if r.client, err = r.begin(r.link, "", []byte(first)); err != nil {
			t.Fatal(err)
		}
		r.service = <-served
		test(r)
		r.client.Discard(framing.ErrorRelayShutdown)
		r.service.Discard(framing.ErrorRelayShutdown)
		r.client.Finish()
		r.service.Finish()
		for len(served) > 0 {
			s := <-served
			s.Discard(framing.ErrorRelayShutdown)
			s.Finish()
		}
		if err := r.finish(); err != nil {
			t.Error(err)
		}
	})
}

// send writes all of p in the background.
func send(s Stream, p []byte) (done chan error) {
	done = make(chan error, 1)
	go func() {
		for len(p) > 0 {
			b := buffer.New(buffer.Size)
			n := copy(b[:], p)
			if err := s.WriteBuffer(b[:n]); err != nil {
				done <- err
				return
			}
			p = p[n:]
		}
		done <- nil
	}()
	return done
}

// want reads so many bytes, which must be those of the pattern.
func (r *relayTest) want(s Stream, from, n int) {
	r.t.Helper()
	got := make([]byte, n)
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, patternAt(from, n)) {
		r.t.Fatalf("reading %d bytes from %d: %v", n, from, err)
	}
}

func (r *relayTest) wantEnd(s Stream, want error) {
	r.t.Helper()
	n, err := s.Read(make([]byte, 1))
	if n > 0 || !errors.Is(err, want) {
		r.t.Errorf("read %d bytes, %v; want %v", n, err, want)
	}
}

func (r *relayTest) wantReset(s Stream, code framing.ErrorCode) {
	r.t.Helper()
	n, err := s.Read(make([]byte, 1))
	if e, ok := errors.AsType[*ResetError](err); n > 0 || !ok || e.Code != code {
		r.t.Errorf("read %d bytes, %v; want a reset with %v", n, err, code)
	}
}

// TestReopened: bytes, ends and acks go on over the next connection, both ways.
func TestReopened(t *testing.T) {
	inBubble(t, string(patternAt(0, 100)), func(r *relayTest) {
		up, down := send(r.client, patternAt(100, 900)), send(r.service, patternAt(0, 1000))
		r.want(r.service, 0, 600)
		r.disconnect(r.link, time.Second)
		r.client.CloseWrite()
		time.Sleep(time.Minute)
		r.connect(false)
		r.want(r.service, 600, 400)
		r.want(r.client, 0, 1000)
		r.wantEnd(r.service, io.EOF)
		r.service.CloseWrite()
		r.wantEnd(r.client, io.EOF)
		if err := errors.Join(<-up, <-down); err != nil {
			t.Error(err)
		}
		begin := time.Now()
		r.client.Finish()
		r.service.Finish()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the last acks came after %v", took)
		}
	})
}

// TestEndOfFullWindow: what filled the window, and the end behind it, are lost with the connection, and come over the next one.
func TestEndOfFullWindow(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		sent := send(r.client, patternAt(0, r.window))
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		r.client.CloseWrite()
		time.Sleep(time.Second)
		r.disconnect(r.link, 0)
		r.connect(false)
		r.want(r.service, 0, r.window)
		r.wantEnd(r.service, io.EOF)
	})
}

// TestPausedReader: a reader that does not read has its relay keep no more after a loss than before.
func TestPausedReader(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		send(r.service, patternAt(0, 32<<20))
		time.Sleep(time.Minute)
		before := r.kept.Load()
		for range 5 {
			r.disconnect(r.link, 0)
			time.Sleep(time.Minute)
			r.link = r.connect(false)
			time.Sleep(time.Minute)
		}
		if after := r.kept.Load(); before == 0 || after > before+2*buffer.Size {
			t.Errorf("%d KiB are kept, before the losses %d", after>>10, before>>10)
		}
	})
}

// TestManyWaiting: relays that wait for a connection hold little, however small what they send is.
func TestManyWaiting(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		r.disconnect(r.link, 0)
		sent := send(r.service, []byte("hello"))
		time.Sleep(time.Minute)
		if n := r.kept.Load(); n == 0 || n > 4<<10 {
			t.Errorf("%d bytes are held for a line", n)
		}
		r.connect(false)
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestResetAfterLoss: what was sent before a reset comes before it, also over another connection, and for a time only.
func TestResetAfterLoss(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		inBubble(t, "", func(r *relayTest) {
			send(r.client, patternAt(0, 30_000))
			r.want(r.service, 0, 10_000)
			r.disconnect(r.link, 0)
			r.client.Reset(framing.ErrorRelayReset)
			r.connect(false)
			r.want(r.service, 10_000, 20_000)
			r.wantReset(r.service, framing.ErrorRelayReset)
		})
	})
	t.Run("too late", func(t *testing.T) {
		inBubble(t, "", func(r *relayTest) {
			send(r.client, patternAt(0, 30_000))
			lane := r.connect(true)
			r.link.s.hold() // neither side notices
			r.client.Reset(framing.ErrorRelayReset)
			time.Sleep(time.Second)
			r.node.Handle(lane.node, &framing.Progress{Relays: []*framing.RelayProgress{{Relay: 1, ResetCode: 64, Final: 30_000}}})
			begin := time.Now()
			_, err := io.ReadAll(r.service)
			if took := time.Since(begin); took > ResetLinger+time.Second || err == nil {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
}

// TestOwnResetReopensNothing: the error that a reset or a stop of this side makes of a read that waits is no loss.
func TestOwnResetReopensNothing(t *testing.T) {
	for name, end := range map[string]func(Stream){
		"reset": func(s Stream) { s.Reset(framing.ErrorRelayReset) }, "stop": func(s Stream) { s.CancelRead() },
		"discard": func(s Stream) { s.Discard(framing.ErrorRelayReset) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(r *relayTest) {
				send(r.client, patternAt(0, 1000))
				time.Sleep(time.Second)
				read := make(chan error)
				go func() {
					r.client.Wait()
					_, err := r.client.Read(make([]byte, 1))
					read <- err
				}()
				synctest.Wait()
				end(r.client)
				if err := <-read; !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				time.Sleep(time.Second)
				if n := r.client.(*resumable).attempt; n != 1 {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
}

// TestStopIsTold although the direction has ended already, whether the connection lives or not: nothing waits for its ack.
func TestStopIsTold(t *testing.T) {
	for name, lose := range map[string]bool{"at once": false, "after a loss": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(r *relayTest) {
				send(r.service, patternAt(0, 1000))
				r.service.CloseWrite()
				time.Sleep(time.Second)
				if lose {
					r.disconnect(r.link, 0)
				}
				r.client.CancelRead()
				if lose {
					r.connect(false)
				}
				begin := time.Now()
				r.client.CloseWrite()
				r.wantEnd(r.service, io.EOF)
				r.service.Finish()
				r.client.Finish()
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("over after %v", took)
				}
			})
		})
	}
}

// TestWatch: who neither reads nor writes hears soon that the other side takes no more, as one does who dials meanwhile.
func TestWatch(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(Stream)
		reset bool
	}{
		"stopped":   {Stream.CancelRead, false},
		"reset":     {func(s Stream) { s.Reset(framing.ErrorRelayReset) }, true},
		"discarded": {func(s Stream) { s.Discard(framing.ErrorRelayReset) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "hello", func(r *relayTest) {
				ended := make(chan bool, 1)
				r.service.Watch(func(reset bool) { ended <- reset })
				time.Sleep(time.Second)
				begin := time.Now()
				test.end(r.client)
				if reset := <-ended; reset != test.reset {
					t.Errorf("a reset: %v", reset)
				}
				if took := time.Since(begin); took > 100*time.Millisecond {
					t.Errorf("told after %v", took)
				}
				again := make(chan bool, 1)
				r.service.Watch(func(reset bool) { again <- reset }) // it is known by now
				if reset := <-again; reset != test.reset {
					t.Errorf("a reset, asked again: %v", reset)
				}
			})
		})
	}
}

// TestLostMessage: what was told over a connection that died is told again over another one, and what only one side knows is
// asked for.
func TestLostMessage(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		lane := r.connect(true)
		send(r.client, patternAt(0, 1000))
		r.want(r.service, 0, 1000)
		time.Sleep(2 * time.Second)
		release := r.link.s.hold()
		defer release()
		r.client.(*resumable).Lost(r.link.server) // it goes on over the lane
		time.Sleep(time.Second)
		r.client.Discard(framing.ErrorRelayStalled) // told over the primary one, where nothing passes
		if _, carrier := r.service.Current(); carrier != lane.node {
			t.Fatal("not on the lane")
		}
		r.disconnect(r.link, 0)
		time.Sleep(time.Second)
		r.wantReset(r.service, framing.ErrorRelayStalled)
	})
}

// TestSuspect: a relay leaves a connection that does not answer for one that does, and stays where there is none.
func TestSuspect(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		r.server.Suspect(r.link.server, true)
		if _, carrier := r.client.Current(); carrier != r.link.server {
			t.Error("it left the only connection")
		}
		r.connect(true)
		r.link.s.hold()
		r.link.n.hold()
		r.server.Suspect(r.link.server, true)
		begin := time.Now()
		send(r.client, patternAt(0, 1000))
		r.want(r.service, 0, 1000)
		if took := time.Since(begin); took > 200*time.Millisecond {
			t.Errorf("it went on after %v", took)
		}
		other, err := r.begin(r.link, "192.0.2.1:2", patternAt(0, 10))
		if err != nil {
			t.Fatal(err)
		}
		r.server.Suspect(r.link.server, true) // it is looked at again and again
		time.Sleep(time.Second)
		if !other.Seen() {
			t.Error("the node never heard of a relay whose first connection does not answer")
		}
		other.Discard(framing.ErrorRelayReset)
		other.Finish()
	})
}

// TestSuspectLeavesForOneHeardSince: a relay leaves a connection that does not answer for one that was heard since, not for one of
// which nobody knows; and then the node asks on all others.
func TestSuspectLeavesForOneHeardSince(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		for range 5 {
			r.connect(true)
		}
		links := r.open()
		look := func() {
			for _, l := range links {
				r.server.Suspect(l.server, false)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, l := range links {
			l.s.received.Add(1)
		}
		look()
		var held []func()
		for i, l := range links {
			if i != 3 { // the others do not work, which only shows on the first
				held = append(held, l.s.hold(), l.n.hold())
			}
		}
		for range 3 {
			links[3].s.received.Add(1)
			look()
		}
		r.server.Suspect(r.link.server, true)
		begin := time.Now()
		send(r.client, patternAt(0, 1000))
		r.want(r.service, 0, 1000)
		if took := time.Since(begin); took > 200*time.Millisecond {
			t.Errorf("it went on after %v", took)
		}
		for i, l := range links {
			if asked := l.n.left.Load() > 0; asked != (i != 3) {
				t.Errorf("connection %d is asked: %v", i, asked)
			}
		}
		for _, release := range held {
			release()
		}
	})
}

// TestNodeAsks: a stream that only the node knows to be lost is opened anew.
func TestNodeAsks(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		stream, _ := r.service.Current()
		r.service.(*resumable).markLost(stream)
		send(r.client, patternAt(0, 1000))
		r.want(r.service, 0, 1000)
	})
}

// TestRetired: a lane that is given up carries nothing new, and what it carries when it dies goes on elsewhere.
func TestRetired(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		lane := r.connect(true)
		r.client.(*resumable).Lost(r.link.server)
		time.Sleep(time.Second)
		if _, carrier := r.client.Current(); carrier != lane.server {
			t.Fatal("not on the lane")
		}
		r.server.Retire(lane.server)
		r.server.Retire(lane.server)
		r.disconnect(lane, time.Second)
		send(r.client, patternAt(0, 10))
		r.want(r.service, 0, 10)
	})
}

// TestLateHeader: a header that comes when its relay has begun anew, or is over, begins nothing.
func TestLateHeader(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		header := func(relay, attempt, received uint64) *framing.StreamHeader {
			return &framing.StreamHeader{Service: "web", Relay: relay, Attempt: attempt, Received: received}
		}
		accept := func(h *framing.StreamHeader) (Stream, error) {
			stream, _ := r.link.n.OpenStream(t.Context())
			return Accept(r.node, r.link.node, stream, h)
		}
		refused := func(what string, want framing.ErrorCode, h *framing.StreamHeader) {
			t.Helper()
			s, err := accept(h)
			if e, ok := errors.AsType[*RefusedError](err); s != nil || !ok || e.Code != want {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		refused("the same attempt", framing.ErrorRelayMoved, header(1, 1, 0))
		refused("of what was never sent", framing.ErrorBadHeader, header(9, 2, 5))
		s, err := accept(header(2, 2, 0))
		if s == nil || err != nil {
			t.Fatal("a reopened stream of a relay that was never seen:", err)
		}
		refused("the first attempt comes late", framing.ErrorRelayMoved, header(2, 1, 0))
		s.Discard(framing.ErrorRelayReset)
		s.Finish()
		refused("a relay that is over", framing.ErrorUnknownRelay, header(2, 3, 0))
		s, err = accept(header(1<<16+100, 1, 0))
		if s == nil || err != nil {
			t.Fatal(err)
		}
		refused("a number that is far behind", framing.ErrorUnknownRelay, header(50, 1, 0))
		s.Discard(framing.ErrorRelayReset)
		s.Finish()
	})
}

// TestHostileNumbers: a peer that says what cannot be loses the relay.
func TestHostileNumbers(t *testing.T) {
	ends := func(t *testing.T, do func(*relayTest)) {
		inBubble(t, "", func(r *relayTest) {
			send(r.client, patternAt(0, 1000))
			send(r.service, patternAt(0, 1000))
			r.want(r.service, 0, 1000)
			time.Sleep(2 * time.Second) // it is acked
			do(r)
			time.Sleep(time.Minute)
			if err := <-send(r.client, []byte("x")); err == nil {
				t.Error("the relay goes on")
			}
		})
	}
	reopen := func(r *relayTest, h *framing.StreamHeader) {
		stream, _ := r.link.s.OpenStream(context.Background())
		frame, err := framing.AppendStreamHeader(nil, h)
		if err != nil {
			t.Fatal(err)
		}
		quicstream.Write(stream, frame)
	}
	t.Run("acked too much", func(t *testing.T) {
		ends(t, func(r *relayTest) {
			r.server.Handle(r.link.server, &framing.Progress{Relays: []*framing.RelayProgress{{Relay: 1, Received: 1002}}})
		})
	})
	t.Run("received too much", func(t *testing.T) {
		ends(t, func(r *relayTest) {
			reopen(r, &framing.StreamHeader{Service: "web", Relay: 1, Attempt: 5, Received: 1002})
		})
	})
	t.Run("another service", func(t *testing.T) {
		ends(t, func(r *relayTest) {
			reopen(r, &framing.StreamHeader{Service: "other", Relay: 1, Attempt: 5})
		})
	})
	t.Run("a flood of attempts", func(t *testing.T) {
		ends(t, func(r *relayTest) {
			for i := range uint64(1000) {
				reopen(r, &framing.StreamHeader{Service: "web", Relay: 1, Attempt: 5 + i})
				time.Sleep(10 * time.Millisecond)
			}
		})
	})
	for name, answer := range map[string]string{
		"an answer of 64 KiB": "\x80\x80\x04", "an answer too high": "\x03\x08\xff\x7f", "an answer too low": "\x00", "no protobuf": "\x02\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			ends(t, func(r *relayTest) {
				hostile := func(stream quicstream.Stream) { io.WriteString(writer{stream}, answer) }
				r.answer.Store(&hostile)
				stream, _ := r.client.Current()
				r.client.(*resumable).markLost(stream)
			})
		})
	}
}

type writer struct{ quicstream.Stream }

func (w writer) Write(b []byte) (int, error) { return w.WriteWithLimit(b, nil) }

// TestTakeBack: a relay of which the node never heard is begun anew with all that was written, and no other one is.
func TestTakeBack(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		if !r.client.TakeBack() { // nothing came of it
			t.Error("a relay without any answer")
		}
		r.link.s.hold()
		s, err := r.begin(r.link, "192.0.2.1:2", patternAt(0, 10))
		if err != nil {
			t.Fatal(err)
		}
		if err := <-send(s, patternAt(10, 40_000)); err != nil {
			t.Fatal(err)
		}
		if !s.TakeBack() {
			t.Fatal("not taken back")
		}
		if err := <-send(s, patternAt(40_010, 100)); err != ErrTakenBack {
			t.Error(err)
		}
		written, ok := s.TakenBack()
		if !ok || !bytes.Equal(written, patternAt(0, 40_110)) {
			t.Errorf("%v, %d bytes", ok, len(written))
		}
		s.Finish()
	})
}

// TestDeadlines: reads and writes end in time, also while there is no connection, and lose nothing.
func TestDeadlines(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		s := r.client
		timesOut := func(what string, do func() error) {
			t.Helper()
			begin := time.Now()
			if err := do(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%s: after %v", what, took)
			}
		}
		read := func() error {
			s.SetReadDeadline(time.Now().Add(time.Second))
			_, err := s.Read(make([]byte, 1))
			return err
		}
		sent := 0
		write := func() error {
			s.SetWriteDeadline(time.Now().Add(time.Second))
			for {
				n, err := s.Write(patternAt(sent, 10_000))
				if sent += n; err != nil {
					return err
				}
			}
		}
		timesOut("reading", read)
		timesOut("writing", write)
		r.disconnect(r.link, 0)
		timesOut("reading without a connection", read)
		timesOut("writing without a connection", write)
		r.connect(false)
		s.SetWriteDeadline(time.Time{})
		s.SetReadDeadline(time.Time{})
		got := 0
		for ; got < sent; got += min(1000, sent-got) {
			r.want(r.service, got, min(1000, sent-got))
		}
		done := send(s, patternAt(sent, 100))
		r.want(r.service, sent, 100)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestAssociationEnds: relays do not wait for a process that ends, nor for ever for a connection.
func TestAssociationEnds(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(*relayTest)
		after time.Duration
	}{
		"no connection":      {func(r *relayTest) { r.disconnect(r.link, 0) }, 5 * time.Minute},
		"the other one ends": {func(r *relayTest) { r.server.PeerStops(); r.disconnect(r.link, 0) }, 0},
		"ended":              {func(r *relayTest) { r.server.End(framing.ErrorRelayShutdown) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(r *relayTest) {
				begin := time.Now()
				test.do(r)
				r.wantEnd(r.client, net.ErrClosed)
				if took := time.Since(begin); took < test.after || took > test.after+time.Second {
					t.Errorf("reset after %v", took)
				}
				if _, err := r.begin(r.link, "", nil); test.after == 0 && err == nil {
					t.Error("another relay begins")
				}
			})
		})
	}
}

// TestPlain: a stream without an association ends with its connection, and has the same ends before.
func TestPlain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, node := newPair(t, 1000, func() time.Duration { return time.Millisecond })
		at := &association.Carrier{Conn: server}
		from := &association.Carrier{Conn: node}
		open := func() (client, service Stream) {
			var none *association.Association
			stream, _ := server.OpenStream(t.Context())
			client, err := Begin(none, at, stream, &framing.StreamHeader{Service: "web"}, []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			far := <-node.accepted
			header, err := framing.ReadStreamHeader(far)
			if err != nil {
				t.Fatal(err)
			}
			service, err = Accept(none, from, far, header)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(io.LimitReader(service, 5)); string(got) != "hello" {
				t.Fatalf("%q, %v", got, err)
			}
			return client, service
		}
		client, service := open()
		client.Reset(framing.ErrorRelayStalled)
		ended := make(chan bool, 1)
		service.Watch(func(reset bool) { ended <- reset })
		if reset := <-ended; !reset {
			t.Error("a reset that is none")
		}
		if _, err := service.Read(make([]byte, 1)); fmt.Sprint(err) != (&ResetError{framing.ErrorRelayStalled}).Error() {
			t.Error(err)
		}
		client.Finish()
		service.Finish()
		client, service = open()
		service.CloseWrite()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		service.CancelRead()
		client.Watch(func(reset bool) { ended <- reset })
		if reset := <-ended; reset {
			t.Error("a stop that is a reset")
		}
		if _, err := client.Write([]byte("x")); err != ErrStopped {
			t.Error(err)
		}
		server.kill()
		node.kill()
		for _, s := range []Stream{client, service} {
			s.Wait()
			if _, err := s.Read(make([]byte, 1)); err == nil {
				t.Error("read from a dead connection")
			}
			if _, err := s.Write([]byte("x")); err == nil {
				t.Error("written to a dead connection")
			}
			s.(association.Member).Lost(nil)
			s.Finish()
		}
		if at.Relays.Len()+from.Relays.Len() > 0 {
			t.Error("something is left")
		}
		server.pumps.Wait()
	})
}

// TestStopOvertakesHeader: when the other side says that it takes no more, while the header of the next attempt is on its way,
// what it sends still arrives, and its end.
func TestStopOvertakesHeader(t *testing.T) {
	inBubble(t, "x", func(r *relayTest) {
		lane := r.connect(true)
		r.want(r.service, 0, 0)
		release := r.link.n.hold() // nothing comes from the node
		r.service.CancelRead()
		if err := <-send(r.service, patternAt(0, 1000)); err != nil {
			t.Fatal(err)
		}
		r.service.CloseWrite()
		r.server.Suspect(r.link.server, true)
		synctest.Wait()
		if _, on := r.client.Current(); on != lane.server {
			t.Fatal("the relay was not reopened on the other connection")
		}
		r.server.Handle(lane.server, &framing.Progress{Relays: []*framing.RelayProgress{{Relay: 1, Received: 1, Stopped: true}}})
		r.want(r.client, 0, 1000)
		r.wantEnd(r.client, io.EOF)
		release()
	})
}

// TestRefusedAttempt: a node that refuses an attempt of a relay that it has learns that this one is over.
func TestRefusedAttempt(t *testing.T) {
	inBubble(t, "x", func(r *relayTest) {
		refuse := func(stream quicstream.Stream) { quicstream.Reset(stream, framing.ErrorNodeBusy) }
		r.answer.Store(&refuse)
		r.disconnect(r.link, 0)
		r.connect(false)
		r.wantReset(r.client, framing.ErrorNodeBusy)
		begin := time.Now()
		for {
			if _, err := r.service.Read(make([]byte, 1)); err != nil {
				break
			}
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the service heard of it after %v", took)
		}
	})
}
