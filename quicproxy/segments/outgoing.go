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

// flight is a segment that was sent, or all that a stream carried before the move.
type flight[C comparable] struct {
	offset, end uint64 // end counts the end of the direction
	carrier     C
	lost        bool // must be sent again
	sent        time.Time
}

// NewOutgoing makes an Outgoing; recycle is called when a buffer that Keep took is not needed any more.
func NewOutgoing[C comparable](recycle func(buffer []byte)) *Outgoing[C] {
	o := new(Outgoing[C])
	o.kept.recycle = recycle
	o.room.L = &o.mu
	return o
}

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

// Keep keeps p, which is to be sent now unless Segmented. It waits while the other side is too far behind. If it took
// the buffer of p instead of copying it, the caller may read p until it calls Sent, which must follow.
func (o *Outgoing[C]) Keep(p []byte, now time.Time) (taken bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closed && o.kept.end+uint64(len(p)) > o.received+Limit {
		o.room.Wait()
	}
	if o.closed {
		if o.takenBack {
			return false, ErrTaken
		}
		return false, ErrClosed
	}
	if o.kept.begin == o.kept.end {
		o.progress = now
	}
	taken = o.kept.append(p)
	o.changedLocked()
	return taken, nil
}

// Sent says that the caller does not need the buffer any more that Keep took.
func (o *Outgoing[C]) Sent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.unpin()
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
	o.closed, o.flights = true, nil
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

// Move has all that follows sent as segments. What was given so far went over stream; lost says that it has to be
// sent again, unless it was received. It may be called again when more turns out to be lost.
func (o *Outgoing[C]) Move(stream C, lost bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{}, 1)
	}
	if !o.segmented && !o.closed {
		o.segmented, o.next = true, o.kept.end
		if o.received < o.next {
			o.flights = []flight[C]{{offset: o.received, end: o.next, carrier: stream, sent: now}}
		}
	}
	if lost {
		o.loseLocked(stream)
	}
	o.changedLocked()
}

func (o *Outgoing[C]) loseLocked(carrier C) {
	for i := range o.flights {
		o.flights[i].lost = o.flights[i].lost || o.flights[i].carrier == carrier
	}
}

// Take returns the segment to send next and the one of carriers that shall carry it, the first that is free.
// Written must follow. If there is none, again is when to ask again, unless changed is called before; zero: not.
//
// What went over carriers that are gone is sent again. When nothing was received for longer than patience, so is what
// the carrier of the oldest segment has, if there is another one: it may be stuck.
func (o *Outgoing[C]) Take(carriers []C, patience time.Duration, now time.Time) (s Segment, carrier C, ok bool, again time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.segmented || o.closed {
		return s, carrier, false, again
	}
	for i := range o.flights {
		o.flights[i].lost = o.flights[i].lost || !slices.Contains(carriers, o.flights[i].carrier)
	}
	if len(carriers) > 1 && len(o.flights) > 0 && !o.flights[0].lost {
		oldest := o.flights[0]
		since := oldest.sent
		if o.progress.After(since) {
			since = o.progress
		}
		if again = since.Add(patience); !again.After(now) {
			o.suspectLocked(oldest.carrier, now.Add(2*patience))
			o.loseLocked(oldest.carrier)
			again = time.Time{}
		}
	}
	if carrier, ok = o.freeLocked(carriers, now); !ok {
		return s, carrier, false, again
	}
	size := Size
	if len(carriers) > 1 {
		size = striped
	}
	if s, ok = o.takeLostLocked(size, carrier, now); !ok {
		s, ok = o.takeNewLocked(size, carrier, now)
	}
	if ok {
		o.busy = append(o.busy, carrier)
	}
	return s, carrier, ok, again
}

func (o *Outgoing[C]) suspectLocked(carrier C, until time.Time) {
	if o.suspect == nil {
		o.suspect = make(map[C]time.Time)
	}
	o.suspect[carrier] = until
}

// freeLocked prefers carriers that are not suspect.
func (o *Outgoing[C]) freeLocked(carriers []C, now time.Time) (free C, ok bool) {
	for _, c := range carriers {
		if slices.Contains(o.busy, c) {
			continue
		}
		if !o.suspect[c].After(now) {
			return c, true
		}
		if !ok {
			free, ok = c, true
		}
	}
	if ok && len(o.busy) > 0 {
		return free, false // another one will be free soon
	}
	return free, ok
}

// takeLostLocked takes as much as fits into a segment from the first flight that was lost.
func (o *Outgoing[C]) takeLostLocked(size int, carrier C, now time.Time) (Segment, bool) {
	i := slices.IndexFunc(o.flights, func(f flight[C]) bool { return f.lost })
	if i < 0 {
		return Segment{}, false
	}
	f := o.flights[i]
	s, ok := o.segmentLocked(f.offset, min(f.end, o.kept.end), size)
	if !ok {
		return Segment{}, false
	}
	again := flight[C]{offset: s.Offset, end: s.next(), carrier: carrier, sent: now}
	if s.next() < f.end {
		o.flights[i].offset = s.next()
		o.flights = slices.Insert(o.flights, i, again)
	} else {
		o.flights[i] = again
	}
	return s, true
}

func (o *Outgoing[C]) takeNewLocked(size int, carrier C, now time.Time) (Segment, bool) {
	if o.next >= o.totalLocked() {
		return Segment{}, false
	}
	s, ok := o.segmentLocked(o.next, o.kept.end, size)
	if !ok {
		return Segment{}, false
	}
	o.next = s.next()
	o.flights = append(o.flights, flight[C]{offset: s.Offset, end: s.next(), carrier: carrier, sent: now})
	return s, true
}

// segmentLocked begins at offset and ends at limit or before. It reports false if the window has no room for it.
func (o *Outgoing[C]) segmentLocked(offset, limit uint64, size int) (Segment, bool) {
	length := min(limit-min(offset, limit), uint64(size))
	if room := o.received + Window - min(offset, o.received+Window); length > 0 {
		if length = min(length, room); length == 0 {
			return Segment{}, false
		}
	}
	end := o.ended && offset+length == o.kept.end
	return Segment{Offset: offset, Length: int(length), End: end}, true
}

// Read copies the bytes of a segment into p, which has room for Size, and returns them. It reports false if the other
// side has them already, or wants them no more.
func (o *Outgoing[C]) Read(s Segment, p []byte) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || s.next() <= o.received || s.Offset < o.kept.begin {
		return nil, false
	}
	o.kept.copyFrom(s.Offset, p[:s.Length])
	return p[:s.Length], true
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
