package stripes

import (
	"maps"
	"slices"
	"time"
)

// PieceSize is how many bytes a stripe gets at once. A slow connection holds the others up with no more than
// that, and a fast one sends 16 KiB within a round trip.
const PieceSize = 16 << 10

// Schedule says which bytes of a direction go over which stripe K, and which are to be sent again. Each byte
// is in one place: it has arrived; it is in flight on one stripe; it is to be reinjected, since its stripe
// was lost; or it was never given to one. The end of the direction is a byte, too. Its owner's lock guards
// it.
type Schedule[K comparable] struct {
	arrived   uint64 // so much the peer has without a gap
	next      uint64 // nothing from here on was given to a stripe
	reinject  spans
	inFlight  map[K][]piece
	writeTime time.Duration // smoothed: how long it takes to write a piece
}

// piece is a span that a stripe was given.
type piece struct {
	span
	began time.Time
}

// NewSchedule returns the schedule of a direction that is striped from an offset on.
func NewSchedule[K comparable](from uint64) *Schedule[K] {
	return &Schedule[K]{arrived: from, next: from, inFlight: make(map[K][]piece)}
}

// Waiting counts the bytes that no stripe has, of a direction with so many in all.
func (s *Schedule[K]) Waiting(total uint64) uint64 { return s.reinject.total() + total - s.next }

// Take gives k the next piece, if there is one. What was lost goes first.
func (s *Schedule[K]) Take(k K, total uint64, now time.Time) (begin, end uint64, ok bool) {
	var n span
	switch {
	case len(s.reinject) > 0:
		n.begin = s.reinject[0].begin
		n.end = min(s.reinject[0].end, n.begin+PieceSize)
		s.reinject.dropBefore(n.end)
	case s.next < total:
		n = span{s.next, min(total, s.next+PieceSize)}
		s.next = n.end
	default:
		return 0, 0, false
	}
	s.inFlight[k] = append(s.inFlight[k], piece{span: n, began: now})
	return n.begin, n.end, true
}

// Next is the first offset from which on nothing was given to a stripe.
func (s *Schedule[K]) Next() uint64 { return s.next }

// Outstanding reports whether a stripe has bytes that have not arrived, or lost some that no other has got yet.
func (s *Schedule[K]) Outstanding() bool { return len(s.inFlight)+len(s.reinject) > 0 }

// WriteTime is how long it takes to write a piece, smoothed.
func (s *Schedule[K]) WriteTime() time.Duration { return s.writeTime }

// Written notes how long it took to write a piece that was taken at began.
func (s *Schedule[K]) Written(began, now time.Time) {
	s.writeTime += (now.Sub(began) - s.writeTime) / 8
}

// Lost has what k carried sent over another stripe.
func (s *Schedule[K]) Lost(k K) {
	for _, p := range s.inFlight[k] {
		s.reinject.add(p.span)
	}
	delete(s.inFlight, k)
}

// Arrive notes how much the peer has without a gap. It reports whether that is news.
func (s *Schedule[K]) Arrive(offset uint64) bool {
	if offset <= s.arrived {
		return false
	}
	s.arrived, s.next = offset, max(s.next, offset)
	s.reinject.dropBefore(offset)
	for k, pieces := range s.inFlight {
		pieces = slices.DeleteFunc(pieces, func(p piece) bool { return p.end <= offset })
		for i := range pieces {
			pieces[i].begin = max(pieces[i].begin, offset)
		}
		if s.inFlight[k] = pieces; len(pieces) == 0 {
			delete(s.inFlight, k)
		}
	}
	return true
}

// First returns the stripe that has the first byte that has not arrived, if one has, and since when.
func (s *Schedule[K]) First() (k K, began time.Time, ok bool) {
	for k, pieces := range s.inFlight {
		for _, p := range pieces {
			if p.begin <= s.arrived && s.arrived < p.end {
				return k, p.began, true
			}
		}
	}
	return k, began, false
}

// Given counts the bytes in flight on k.
func (s *Schedule[K]) Given(k K) (bytes uint64) {
	for _, p := range s.inFlight[k] {
		bytes += p.end - p.begin
	}
	return bytes
}

// Stripes returns those with something in flight.
func (s *Schedule[K]) Stripes() []K { return slices.Collect(maps.Keys(s.inFlight)) }
