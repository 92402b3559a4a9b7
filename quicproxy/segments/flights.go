package segments

import (
	"maps"
	"slices"
	"time"
)

// flight is a segment that was sent, or all that a stream carried before the move.
type flight[C comparable] struct {
	offset, end uint64 // end counts the end of the direction
	carrier     C
	lost        bool // must be sent again
	sent        time.Time
	stream      bool // it went over the stream
	doubts      int  // how often it took too long
}

const (
	// lonelyPatience is how long something may take on the only carrier that there is, and streamPatience on the stream:
	// the other side tells of that once in a second.
	lonelyPatience = 10 * time.Second
	streamPatience = 3 * time.Second
)

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
			o.flights = []flight[C]{{offset: o.received, end: o.next, carrier: stream, sent: now, stream: true}}
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
// Written must follow. If there is none, again is when to ask again, unless Changed says so before; zero: not.
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
	maps.DeleteFunc(o.suspect, func(c C, until time.Time) bool { return !until.After(now) || !slices.Contains(carriers, c) })
	again = o.doubtLocked(carriers, patience, now)
	carrier, free, usable := o.freeLocked(carriers, now)
	if !free {
		if again.IsZero() || !usable.IsZero() && usable.Before(again) {
			again = usable
		}
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

// doubtLocked loses what takes too long, and returns when something will; zero: nothing.
func (o *Outgoing[C]) doubtLocked(carriers []C, patience time.Duration, now time.Time) (next time.Time) {
	if len(o.flights) == 0 || o.flights[0].lost || len(carriers) == 0 {
		return time.Time{}
	}
	oldest := &o.flights[0]
	since := oldest.sent
	if o.progress.After(since) {
		since = o.progress
	}
	wait := patience
	switch {
	case len(carriers) == 1: // that it takes long says little, but a segment may have been refused
		wait = max(patience, lonelyPatience)
	case oldest.stream:
		wait = max(patience, streamPatience)
	}
	// The reader at the other side may have stopped: what it does not read is not received.
	if next = since.Add(wait << min(oldest.doubts, 6)); next.After(now) {
		return next
	}
	if len(carriers) == 1 {
		oldest.lost = true
		oldest.doubts++
		return time.Time{}
	}
	for i := range o.flights {
		if o.flights[i].carrier == oldest.carrier {
			o.flights[i].doubts++
		}
	}
	if o.suspect == nil {
		o.suspect = make(map[C]time.Time)
	}
	o.suspect[oldest.carrier] = now.Add(2 * patience)
	o.loseLocked(oldest.carrier)
	return time.Time{}
}

// freeLocked prefers carriers that are not suspect. While others will be free soon those that are have to wait: usable
// is until when; zero: there is none.
func (o *Outgoing[C]) freeLocked(carriers []C, now time.Time) (free C, ok bool, usable time.Time) {
	for _, c := range carriers {
		if slices.Contains(o.busy, c) {
			continue
		}
		until := o.suspect[c]
		if !until.After(now) {
			return c, true, time.Time{}
		}
		if !ok || until.Before(usable) {
			free, ok, usable = c, true, until
		}
	}
	return free, ok && len(o.busy) == 0, usable
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
	again := flight[C]{offset: s.Offset, end: s.next(), carrier: carrier, sent: now, doubts: f.doubts}
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
