package segments

import (
	"bytes"
	"errors"
	"slices"
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
		if _, taken, _, err := o.KeepBuffer(make([]byte, Size), start); !taken || err != nil {
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

// TestKeptInItsSize: what is kept takes little more memory than its bytes, also where little was read into a large
// buffer; and what the caller still reads counts, whatever the other side says.
func TestKeptInItsSize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 1400, 2048, 4200, 9 << 10, 16 << 10, 20 << 10, 31 << 10, Size} {
		memory := 0
		o := NewOutgoing[string](func([]byte) {})
		o.Count(func(more int) { memory += more })
		all := 0
		for all < 1<<18 {
			want := patternAt(uint64(all), n)
			kept, _, _, err := o.KeepBuffer(append(make([]byte, 0, Size), want...), start)
			if err != nil || !slices.Equal(kept, want) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if all += n; all < 1<<18 {
				o.Sent()
			}
		}
		if memory < all || memory > all+all/4+maxChunk {
			t.Errorf("%d bytes in pieces of %d take %d", all, n, memory)
		}
		data := make([]byte, all)
		if o.kept.copyFrom(0, data); !slices.Equal(data, patternAt(0, all)) {
			t.Errorf("pieces of %d bytes are not what was given", n)
		}
		o.Received(uint64(all), start)
		if memory < n {
			t.Errorf("%d bytes count as %d while they are read", n, memory)
		}
		if o.Sent(); memory != 0 {
			t.Errorf("%d bytes count at the end", memory)
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
		in.Offer(Segment{offset, length, end}, patternAt(offset, length))
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

// TestPinned: whatever is kept in between, a buffer is recycled once, and only when it is neither kept nor in use.
func TestPinned(t *testing.T) {
	t.Parallel()
	recycled := map[*byte]int{}
	o := NewOutgoing[string](func(b []byte) { recycled[&b[0]]++ })
	first, second := make([]byte, Size), make([]byte, Size)
	if segmented, err := o.Keep(patternAt(0, striped+1), start); segmented || err != nil {
		t.Fatal(segmented, err)
	}
	o.Received(10, start)
	for _, buffer := range [][]byte{first, second} {
		if _, taken, _, _ := o.KeepBuffer(buffer, start); !taken {
			t.Fatal("not taken")
		}
		o.Sent()
	}
	if len(recycled) != 0 {
		t.Fatal("a buffer was recycled that is kept")
	}
	o.Received(striped+1+Size, start)
	if recycled[&first[0]] != 1 || recycled[&second[0]] != 0 {
		t.Errorf("after the first was received: %v", recycled)
	}
	o.Close()
	if recycled[&first[0]] != 1 || recycled[&second[0]] != 1 {
		t.Errorf("at the end: %v", recycled)
	}
}

// TestReceivedInPart: a segment of which a part was received before it is sent brings the rest.
func TestReceivedInPart(t *testing.T) {
	t.Parallel()
	o := outgoing(t, 1000)
	o.Move("a", true, start)
	s, _, ok, _ := o.Take([]string{"b"}, time.Second, start)
	if !ok || s.Length != 1000 {
		t.Fatal(s, ok)
	}
	o.Received(300, start)
	left, data, ok := o.Read(s, make([]byte, Size))
	if !ok || left != (Segment{Offset: 300, Length: 700}) || !bytes.Equal(data, patternAt(300, 700)) {
		t.Errorf("%v, %v, %d bytes", left, ok, len(data))
	}
}

// TestRefused: what was sent over the only carrier, and not received, is sent again, ever more rarely.
func TestRefused(t *testing.T) {
	t.Parallel()
	o := outgoing(t, 1000)
	o.Move("a", true, start)
	now := start
	for _, wait := range []time.Duration{0, lonelyPatience, 2 * lonelyPatience, 4 * lonelyPatience} {
		if now = now.Add(wait); wait > 0 {
			if _, _, ok, again := o.Take([]string{"b"}, time.Second, now.Add(-time.Nanosecond)); ok || again != now {
				t.Errorf("before %v: %v, again at %v", now, ok, again)
			}
		}
		s, _, ok, _ := o.Take([]string{"b"}, time.Second, now)
		if !ok {
			t.Fatalf("nothing after %v", wait)
		}
		o.Written(s, "b", false)
	}
}

// TestSuspectCarrier: a carrier that was suspect and is the only free one is used when that is over.
func TestSuspectCarrier(t *testing.T) {
	t.Parallel()
	o := outgoing(t, 0)
	o.Move("a", true, start)
	o.Keep(make([]byte, 3*striped), start)
	both := []string{"a", "b"}
	o.Take(both, time.Second, start) // a stays busy
	s, _, _, _ := o.Take(both, time.Second, start)
	o.Written(s, "b", false)
	o.Received(striped, start)
	later := start.Add(2 * time.Second)
	if s, carrier, ok, again := o.Take(both, time.Second, later); ok || again != later.Add(2*time.Second) {
		t.Errorf("%v on %q, %v, again at %v", s, carrier, ok, again)
	}
	if _, carrier, ok, _ := o.Take(both, time.Second, later.Add(2*time.Second)); !ok || carrier != "b" {
		t.Errorf("on %q, %v", carrier, ok)
	}
}

// TestHostilePieces: what overlaps, and what is tiny, does not take more memory than it may, and never hides what comes
// next.
func TestHostilePieces(t *testing.T) {
	t.Parallel()
	in := NewIncoming()
	for offset := uint64(1); offset < 3*maxPieces; offset++ { // none continues another
		in.Offer(Segment{Offset: 2 * offset, Length: 1}, []byte{0})
	}
	if n := len(in.pieces); n > maxPieces {
		t.Errorf("%d pieces", n)
	}
	for offset := uint64(0); offset < 1000; offset++ {
		in.Offer(Segment{Offset: 1<<20 + offset, Length: Size}, make([]byte, Size))
	}
	if in.Held() > 2*Window {
		t.Errorf("%d bytes are held", in.Held())
	}
	if !in.Offer(Segment{Length: 1}, []byte("x")) {
		t.Fatal("the next byte was dropped")
	}
	if data, _, ok := in.Next(); !ok || string(data) != "x" {
		t.Errorf("%q, %v", data, ok)
	}
}

// TestManySmall: a reader that pauses while many small segments come gets them all at once.
func TestManySmall(t *testing.T) {
	t.Parallel()
	const lines, length = 3 * maxPieces, 100
	in := NewIncoming()
	for i := range uint64(lines) {
		in.Offer(Segment{i * length, length, i == lines-1}, patternAt(i*length, length))
	}
	var got []byte
	for end := false; !end; {
		if !in.Ready() {
			t.Fatalf("%d bytes came, of %d", len(got), lines*length)
		}
		data, last, _ := in.Next()
		got, end = append(got, data...), last
		in.Advance(len(data), last)
	}
	if !bytes.Equal(got, patternAt(0, lines*length)) {
		t.Error("wrong bytes")
	}
}

// TestStalledReader: what the other side has, but does not read, is not sent again and again.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	o := outgoing(t, Window)
	o.Move("a", true, start)
	sent := 0
	for now := start; now.Before(start.Add(time.Minute)); now = now.Add(100 * time.Millisecond) {
		for {
			s, carrier, ok, _ := o.Take([]string{"a", "b"}, 500*time.Millisecond, now)
			if !ok {
				break
			}
			o.Written(s, carrier, false)
			sent += s.Length
		}
	}
	if sent > 10*Window {
		t.Errorf("%d bytes were sent in a minute, for %d", sent, Window)
	}
}

// TestFlush waits for what was given so far, without an end.
func TestFlush(t *testing.T) {
	t.Parallel()
	o := outgoing(t, 10)
	flushed := make(chan bool)
	go func() { o.Flush(); flushed <- true }()
	o.Received(9, start)
	select {
	case <-flushed:
		t.Error("too early")
	default:
	}
	o.Received(10, start)
	<-flushed
	if o.IsDone() {
		t.Error("it has ended")
	}
}

// TestClose frees who waits, and what comes later is not wanted.
func TestClose(t *testing.T) {
	t.Parallel()
	in := NewIncoming()
	freed := make(chan bool)
	go func() {
		_, _, ok := in.Next()
		freed <- ok
	}()
	in.Offer(Segment{3, 3, false}, []byte("def"))
	in.Close()
	if <-freed || in.Held() != 0 {
		t.Errorf("%d bytes are held", in.Held())
	}
	if wanted, err := in.Check(Segment{0, 3, false}); wanted || err != nil {
		t.Errorf("wanted %v, %v", wanted, err)
	}
}

// TestSuspectsAreForgotten: a carrier that brought nothing is no longer remembered when it is gone.
func TestSuspectsAreForgotten(t *testing.T) {
	t.Parallel()
	o := outgoing(t, striped)
	o.Move("a", true, start)
	later := start.Add(time.Hour)
	o.Take([]string{"a", "b"}, time.Second, start)
	o.Take([]string{"a", "b"}, time.Second, start.Add(2*time.Second))
	if len(o.suspect) == 0 {
		t.Fatal("nobody is suspect")
	}
	o.Take([]string{"b"}, time.Second, start.Add(3*time.Second))
	o.Take([]string{"c"}, time.Second, later)
	if len(o.suspect) > 0 {
		t.Errorf("still suspect: %v", o.suspect)
	}
}
