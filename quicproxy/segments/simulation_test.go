package segments

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// schedules is how many random histories TestSchedules plays.
const schedules = 10_000

// pattern makes every byte that is lost, doubled or misplaced show: its length is a prime.
var pattern = func() []byte {
	p := make([]byte, 65521)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}()

func patternAt(offset uint64, n int) []byte {
	p := make([]byte, 0, n)
	for len(p) < n {
		at := int((offset + uint64(len(p))) % uint64(len(pattern)))
		p = append(p, pattern[at:min(len(pattern), at+n-len(p))]...)
	}
	return p
}

// lane is a connection that carries what it got in any order, or dies with it.
type lane struct {
	id       int
	segments []Segment // under way, with their bytes
	data     [][]byte
	acks     []uint64
}

// history is one direction of a relay between two processes, with everything that may happen to it.
type history struct {
	*rand.Rand
	out   *Outgoing[int]
	in    *Incoming
	now   time.Time
	lanes []*lane
	last  int // the newest lane

	total   int
	given   int
	ended   bool
	raw     []byte // on the stream, in order
	rawLane int    // 0: the stream is gone
	rawEnd  bool   // the end was given to the stream
	left    bool   // the receiver reads segments only
	got     []byte
	gotEnd  bool
	writing []writing
	buffers int // that were taken and not recycled
}

func newHistory(seed uint64) *history {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 1)), in: NewIncoming(), now: time.Unix(0, 0), rawLane: 1}
	h.out = NewOutgoing[int](func(buffer []byte) {
		h.buffers--
		clear(buffer) // as whoever uses it next may do
	})
	h.total = h.IntN(1 << h.IntN(20))
	for range 1 + h.IntN(3) {
		h.open()
	}
	return h
}

func (h *history) open() {
	h.last++
	h.lanes = append(h.lanes, &lane{id: h.last})
}

func (h *history) ids() (ids []int) {
	for _, l := range h.lanes {
		ids = append(ids, l.id)
	}
	return ids
}

// cut ends a lane with all that it carries; the two sides notice one after the other.
func (h *history) cut(i int) {
	l := h.lanes[i]
	h.lanes = slices.Delete(h.lanes, i, i+1)
	if l.id == h.rawLane {
		h.rawLane, h.raw, h.rawEnd = 0, nil, false
		h.left = true
		h.out.Move(l.id, true, h.now)
	}
}

// give is the sender's program.
func (h *history) give() {
	n := min(h.total-h.given, 1+h.IntN(30_000))
	if n == 0 {
		if !h.ended {
			h.ended = true
			h.out.End()
			h.rawEnd = h.rawLane != 0 && !h.out.Segmented()
		}
		return
	}
	p := patternAt(uint64(h.given), n)
	_, taken, segmented, err := h.out.KeepBuffer(slices.Clip(p), h.now)
	if err != nil {
		panic(err)
	}
	if taken {
		h.buffers++
	}
	h.out.Sent()
	if !segmented {
		h.raw = append(h.raw, patternAt(uint64(h.given), n)...)
	}
	h.given += n
}

// take is the receiver's program.
func (h *history) take() error {
	before := len(h.got)
	switch {
	case h.gotEnd:
	case h.in.Ready():
		h.left = true // a segment says that the stream brings no more than this
		data, end, _ := h.in.Next()
		h.got = append(h.got, data...)
		h.gotEnd = end
		h.in.Advance(len(data), end)
	case !h.left && len(h.raw) > 0:
		n := 1 + h.IntN(len(h.raw))
		h.got = append(h.got, h.raw[:n]...)
		h.raw = h.raw[n:]
		h.in.Advance(n, false)
	case !h.left && h.rawEnd:
		h.gotEnd = true
		h.in.Advance(0, true)
	}
	if !bytes.Equal(h.got[before:], patternAt(uint64(before), len(h.got)-before)) {
		return fmt.Errorf("wrong bytes between %d and %d", before, len(h.got))
	}
	return nil
}

// writing is a segment that is on its way to its lane.
type writing struct {
	Segment
	id int
}

// send begins to give the next segment to a lane, or goes on with one.
func (h *history) send() {
	if h.IntN(2) == 0 {
		if s, id, ok, _ := h.out.Take(h.ids(), time.Second, h.now); ok {
			h.writing = append(h.writing, writing{s, id})
		}
		return
	}
	if len(h.writing) == 0 {
		return
	}
	at := h.IntN(len(h.writing))
	w := h.writing[at]
	h.writing = slices.Delete(h.writing, at, at+1)
	left, data, wanted := h.out.Read(w.Segment, make([]byte, Size))
	i := slices.Index(h.ids(), w.id)
	failed := wanted && (i < 0 || h.IntN(20) == 0)
	if wanted && !failed && h.IntN(20) > 0 { // else the other side refuses it, and nobody hears of that
		h.lanes[i].segments = append(h.lanes[i].segments, left)
		h.lanes[i].data = append(h.lanes[i].data, data)
	}
	h.out.Written(w.Segment, w.id, failed)
}

// deliver has something arrive, of a lane, in any order.
func (h *history) deliver() error {
	l := h.lanes[h.IntN(len(h.lanes))]
	if len(l.acks) > 0 && h.IntN(2) == 0 {
		i := h.IntN(len(l.acks))
		err := h.out.Received(l.acks[i], h.now)
		l.acks = slices.Delete(l.acks, i, i+1)
		return err
	}
	if len(l.segments) == 0 {
		return nil
	}
	i := h.IntN(len(l.segments))
	s, data := l.segments[i], l.data[i]
	if h.IntN(10) > 0 { // else it comes once more
		l.segments, l.data = slices.Delete(l.segments, i, i+1), slices.Delete(l.data, i, i+1)
	}
	wanted, err := h.in.Check(s)
	if err != nil || !wanted {
		l.acks = append(l.acks, h.in.Position())
		return err
	}
	h.in.Offer(s, data)
	return nil
}

// step is something that happens; what breaks no connection has all the time in the world.
func (h *history) step(calm bool) error {
	h.now = h.now.Add(time.Duration(h.IntN(300)) * time.Millisecond)
	switch n := h.IntN(100); {
	case n < 20:
		h.give()
	case n < 45:
		return h.take()
	case n < 65:
		h.send()
	case n < 85 && len(h.lanes) > 0:
		return h.deliver()
	case n < 93 && len(h.lanes) > 0:
		l := h.lanes[h.IntN(len(h.lanes))]
		l.acks = append(l.acks, h.in.Position())
	case calm && len(h.lanes) == 0 || !calm && n < 95:
		h.open()
	case !calm && n < 98 && len(h.lanes) > 0:
		h.cut(h.IntN(len(h.lanes)))
	case !calm && n == 98 && !h.rawEnd:
		h.out.Move(h.rawLane, false, h.now) // more lanes; what the stream has goes on
	case !calm && n == 99:
		h.left = true // the receiver gives the stream up, and says so
		h.out.Move(h.rawLane, true, h.now)
	}
	return nil
}

func (h *history) play() error {
	for range 50 + h.IntN(200) {
		if err := h.step(false); err != nil {
			return err
		}
	}
	for range 1_000_000 {
		if err := h.step(true); err != nil {
			return err
		}
		if !h.out.IsDone() {
			continue
		}
		switch kept, _ := h.out.Unreceived(); {
		case len(h.got) != h.total || !h.gotEnd:
			return fmt.Errorf("done with %d bytes of %d, end %v", len(h.got), h.total, h.gotEnd)
		case kept != 0 || h.buffers != 0 || h.in.Held() != 0:
			return fmt.Errorf("%d bytes are kept in %d buffers, %d bytes held", kept, h.buffers, h.in.Held())
		}
		return nil
	}
	return fmt.Errorf("not done: %d of %d bytes arrived, end %v", len(h.got), h.total, h.gotEnd)
}

// TestSchedules cuts, opens and overtakes at random; every byte must arrive once and in order,
// in histories that nobody would think of.
func TestSchedules(t *testing.T) {
	const parts = 8
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < schedules; seed += parts {
				if err := newHistory(uint64(seed)).play(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}
