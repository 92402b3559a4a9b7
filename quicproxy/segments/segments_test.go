package segments

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

var start = time.Unix(0, 0)

func outgoing(t *testing.T, bytes int) *Outgoing[string] {
	t.Helper()
	o := NewOutgoing[string](func([]byte) {})
	if _, err := o.Keep(patternAt(0, bytes), start); err != nil {
		t.Fatal(err)
	}
	return o
}

// takeAll sends all that there is and returns it.
func takeAll(o *Outgoing[string], carriers ...string) (all []Segment) {
	for {
		s, carrier, ok, _ := o.Take(carriers, time.Second, start)
		if !ok {
			return all
		}
		o.Written(s, carrier, false)
		all = append(all, s)
	}
}

// TestWindow: whatever is under way, segments stay within the window, so that the receiver takes them.
func TestWindow(t *testing.T) {
	t.Parallel()
	o, in := outgoing(t, Limit), NewIncoming()
	o.Move("a", true, start) // the stream carried more than a window
	first := takeAll(o, "b")
	last := first[len(first)-1]
	if end := last.Offset + uint64(last.Length); end != Window {
		t.Errorf("segments reach to %d, not %d", end, Window)
	}
	for _, s := range first {
		if wanted, err := in.Check(s); !wanted || err != nil {
			t.Fatalf("%v: %v, %v", s, wanted, err)
		}
	}
	if _, err := in.Check(Segment{Offset: last.Offset + 1, Length: last.Length}); !errors.Is(err, ErrTooFar) {
		t.Errorf("a byte further: %v", err)
	}
	if err := o.Received(10, start); err != nil {
		t.Fatal(err)
	}
	if more := takeAll(o, "b"); len(more) != 1 || more[0] != (Segment{Offset: Window, Length: 10}) {
		t.Errorf("after ten bytes: %v", more)
	}
	if err := o.Received(Limit+1, start); err == nil {
		t.Error("more was received than was sent")
	}
}

// TestKeepWaits: who is too far ahead waits until the other side has more, or the relay ends.
func TestKeepWaits(t *testing.T) {
	t.Parallel()
	o := outgoing(t, Limit)
	kept := make(chan error)
	keep := func(text string) {
		_, err := o.Keep([]byte(text), start)
		kept <- err
	}
	go keep("xy")
	if err := o.Received(1, start); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-kept:
		t.Fatalf("kept more than the limit: %v", err)
	default:
	}
	if err := o.Received(2, start); err != nil {
		t.Fatal(err)
	}
	if err := <-kept; err != nil {
		t.Fatal(err)
	}
	go keep("z")
	o.Close()
	if err := <-kept; !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if bytes, _ := o.Unreceived(); bytes != 0 {
		t.Errorf("%d bytes are kept", bytes)
	}
}

// TestBufferInUse: a buffer that is being sent is used for nothing else, even if the other side says that it has it all,
// or the relay ends.
func TestBufferInUse(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(o *Outgoing[string]){
		"received": func(o *Outgoing[string]) { o.Received(Size, start) },
		"closed":   func(o *Outgoing[string]) { o.Close() },
	} {
		recycled := 0
		o := NewOutgoing[string](func([]byte) { recycled++ })
		if taken, err := o.Keep(make([]byte, Size), start); !taken || err != nil {
			t.Fatal("the buffer was not taken", err)
		}
		drop(o)
		if recycled != 0 {
			t.Errorf("%s: the buffer was recycled while it is in use", name)
		}
		o.Sent()
		o.Close()
		if recycled != 1 {
			t.Errorf("%s: the buffer was recycled %d times", name, recycled)
		}
	}
}

// TestStuckCarrier: what a carrier has that brings nothing goes over another one, and that one gets what follows.
func TestStuckCarrier(t *testing.T) {
	t.Parallel()
	o := outgoing(t, 0)
	o.Move("a", true, start)
	for range 2 {
		o.Keep(make([]byte, striped), start)
		o.Sent()
	}
	both := []string{"a", "b"}
	on := map[string]Segment{}
	for range 2 {
		s, carrier, _, _ := o.Take(both, time.Second, start)
		on[carrier] = s
	}
	o.Written(on["b"], "b", false)
	if _, _, ok, again := o.Take(both, time.Second, start); ok || again != start.Add(time.Second) {
		t.Errorf("something to send: %v, or the wrong time to ask again: %v", ok, again)
	}
	later := start.Add(time.Second)
	if s, carrier, ok, _ := o.Take(both, time.Second, later); !ok || carrier != "b" || s != on["a"] {
		t.Errorf("after a second: %v on %q, %v", s, carrier, ok)
	}
	o.Written(on["a"], "b", false)
	o.Written(on["a"], "a", false)
	o.Keep([]byte("x"), later)
	if _, carrier, ok, _ := o.Take(both, time.Second, later); !ok || carrier != "b" {
		t.Errorf("what follows goes to %q, %v", carrier, ok)
	}
}

// TestOverlap: pieces that overlap each other in every way make the one sequence.
func TestOverlap(t *testing.T) {
	t.Parallel()
	const total = 40
	in := NewIncoming()
	offer := func(offset uint64, length int, end bool) {
		t.Helper()
		if _, err := in.Offer(Segment{offset, length, end}, patternAt(offset, length), func() {}); err != nil {
			t.Fatal(err)
		}
	}
	offer(30, 10, true)
	offer(5, 10, false)
	offer(7, 3, false)
	offer(10, 15, false)
	offer(20, 12, false)
	if in.Ready() {
		t.Error("ready without the first byte")
	}
	offer(0, 6, false)
	var got []byte
	for {
		data, end, ok := in.Next()
		if !ok {
			t.Fatal("closed")
		}
		got = append(got, data...)
		in.Advance(len(data), end)
		if end {
			break
		}
	}
	if !bytes.Equal(got, patternAt(0, total)) || in.Position() != total+1 || in.Held() != 0 {
		t.Errorf("got %d bytes, position %d, held %d", len(got), in.Position(), in.Held())
	}
}

// TestCloseWhileTaking: what was taken stays valid until it was used.
func TestCloseWhileTaking(t *testing.T) {
	t.Parallel()
	in, freed := NewIncoming(), 0
	in.Offer(Segment{0, 3, false}, []byte("abc"), func() { freed++ })
	in.Offer(Segment{3, 3, false}, []byte("def"), func() { freed++ })
	data, _, _ := in.Next()
	in.Close()
	if freed != 0 || string(data) != "abc" {
		t.Errorf("%d pieces freed, %q", freed, data)
	}
	in.Advance(3, false)
	if _, _, ok := in.Next(); ok || freed != 2 {
		t.Errorf("after Close: ok %v, %d pieces freed", ok, freed)
	}
}
