package segments

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

var (
	// ErrClosed is what Keep returns when nothing more has to be sent.
	ErrClosed = errors.New("the direction was closed")
	// ErrTaken is what it returns after TakeBack.
	ErrTaken = errors.New("the direction was taken back")
)

// Outgoing is the sending end of a direction: what was given to Keep and not yet received. Segments go over
// carriers of type C. All methods may be called concurrently.
type Outgoing[C comparable] struct {
	mu        sync.Mutex
	room      sync.Cond
	kept      fifo          // from received to the end of what was given
	ended     bool          // the direction ends there
	received  uint64        // by the other side, as far as it said; the end counts
	progress  time.Time     // when received last grew, or something began to wait for it
	closed    bool          // nothing more has to be sent
	takenBack bool          // closed by TakeBack
	done      chan struct{} // closed with the rest; nil: nobody waits for that

	segmented bool
	changed   chan struct{} // has room for one: Take may have something
	next      uint64        // what was never sent begins here
	flights   []flight[C]   // what was sent and is not known to be received, by offset
	busy      []C           // carriers that are at a segment
	suspect   map[C]time.Time
}

// NewOutgoing makes an Outgoing; recycle is called when a buffer that KeepBuffer took is not needed any more.
func NewOutgoing[C comparable](recycle func(buffer []byte)) *Outgoing[C] {
	o := new(Outgoing[C])
	o.kept.recycle = recycle
	o.room.L = &o.mu
	return o
}

// Count has count called with each change of the memory that is taken, in bytes. It must not call back. It is to be set
// first.
func (o *Outgoing[C]) Count(count func(bytes int)) { o.kept.count = count }

// Done is closed when the other side has received everything, or wants no more.
func (o *Outgoing[C]) Done() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done == nil {
		o.done = make(chan struct{})
		if o.closed {
			close(o.done)
		}
	}
	return o.done
}

// IsDone reports whether Done is closed.
func (o *Outgoing[C]) IsDone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// Changed has room for one: Take may have something. Move comes first.
func (o *Outgoing[C]) Changed() <-chan struct{} { return o.changed }

func (o *Outgoing[C]) changedLocked() {
	select {
	case o.changed <- struct{}{}:
	default: // nobody wants to know, or somebody knows already
	}
}

// Keep keeps a copy of p, and waits while the other side is too far behind. The caller sends p on the stream, unless it
// will go in segments.
func (o *Outgoing[C]) Keep(p []byte, now time.Time) (segmented bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.waitLocked(len(p), now); err != nil {
		return false, err
	}
	o.kept.append(p)
	o.changedLocked()
	return o.segmented, nil
}

// KeepBuffer is Keep for a buffer that belongs to the caller. It may be taken instead of copied; kept is where the bytes are,
// for the caller to read until it calls Sent, which must follow.
func (o *Outgoing[C]) KeepBuffer(p []byte, now time.Time) (kept []byte, taken, segmented bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.waitLocked(len(p), now); err != nil {
		return nil, false, false, err
	}
	kept, taken = o.kept.give(p)
	o.changedLocked()
	return kept, taken, o.segmented, nil
}

// waitLocked waits until there is room for n bytes more.
func (o *Outgoing[C]) waitLocked(n int, now time.Time) error {
	for !o.closed && o.kept.end+uint64(n) > o.received+Limit {
		o.room.Wait()
	}
	switch {
	case o.takenBack:
		return ErrTaken
	case o.closed:
		return ErrClosed
	}
	if o.kept.begin == o.kept.end {
		o.progress = now
	}
	return nil
}

// Sent says that the caller does not read any more what KeepBuffer kept.
func (o *Outgoing[C]) Sent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.unpin()
}

// Flush waits until the other side has received everything that was given so far, or Close.
func (o *Outgoing[C]) Flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closed && o.received < o.kept.end {
		o.room.Wait()
	}
}

// End says that nothing follows.
func (o *Outgoing[C]) End() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.changedLocked()
}

// Close drops everything: the other side wants no more, or the relay was reset.
func (o *Outgoing[C]) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
}

func (o *Outgoing[C]) closeLocked() {
	if o.closed {
		return
	}
	o.closed, o.flights, o.suspect = true, nil, nil
	o.kept.release(o.kept.end)
	o.room.Broadcast()
	if o.done != nil {
		close(o.done)
	}
}

// Received is told how much the other side has. It returns an error if that was never sent.
func (o *Outgoing[C]) Received(offset uint64, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed || offset <= o.received:
		return nil // old news
	case offset > o.totalLocked():
		return fmt.Errorf("the other side has %d bytes of %d", offset, o.totalLocked())
	}
	o.received, o.progress = offset, now
	o.kept.release(min(offset, o.kept.end))
	o.flights = slices.DeleteFunc(o.flights, func(f flight[C]) bool { return f.end <= offset })
	if len(o.flights) > 0 {
		o.flights[0].offset = max(o.flights[0].offset, offset)
	}
	o.next = max(o.next, offset)
	if o.ended && offset == o.totalLocked() {
		o.closeLocked()
	}
	o.room.Broadcast()
	o.changedLocked()
	return nil
}

// totalLocked is the number of all that there is to send so far.
func (o *Outgoing[C]) totalLocked() uint64 {
	if o.ended {
		return o.kept.end + 1
	}
	return o.kept.end
}

// Unreceived is how many bytes of memory wait for the other side, and since when it has received nothing.
func (o *Outgoing[C]) Unreceived() (bytes int, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.memory, o.progress
}

// Kept is how many bytes were ever given to Keep.
func (o *Outgoing[C]) Kept() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.end
}

// TakeBack closes and returns a copy of everything that was given to Keep, unless the other side has received something
// or there is more than limit.
func (o *Outgoing[C]) TakeBack(limit int) (all []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.received > 0 || o.kept.end > uint64(limit) {
		return nil, false
	}
	all = make([]byte, o.kept.end)
	o.kept.copyFrom(0, all)
	o.takenBack = true
	o.closeLocked()
	return all, true
}

// Segmented reports whether what is kept has to be sent as segments.
func (o *Outgoing[C]) Segmented() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.segmented
}

// Read copies the bytes of a segment into p, which has room for Size, and returns what is left of the segment: the other
// side may have a part of it by now. It reports false if it has all, or wants no more.
func (o *Outgoing[C]) Read(s Segment, p []byte) (left Segment, data []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || s.next() <= o.received {
		return s, nil, false
	}
	if had := int(o.kept.begin - min(s.Offset, o.kept.begin)); had > 0 {
		s.Offset, s.Length = o.kept.begin, s.Length-had
	}
	o.kept.copyFrom(s.Offset, p[:s.Length])
	return s, p[:s.Length], true
}

// Written ends the work of a carrier on a segment that Take returned. With failed the segment is sent again.
func (o *Outgoing[C]) Written(s Segment, carrier C, failed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = slices.DeleteFunc(o.busy, func(c C) bool { return c == carrier })
	if failed {
		for i, f := range o.flights {
			o.flights[i].lost = f.lost || f.carrier == carrier && f.offset < s.next() && s.Offset < f.end
		}
	}
	o.changedLocked()
}
