package relay

import (
	"maps"
	"slices"
	"time"
)

// pieceSize is how many bytes a stripe gets at once. A slow connection holds the others up with no more than
// that, and a fast one sends 16 KiB within a round trip.
const pieceSize = 16 << 10

// schedule says which bytes of a direction go over which stripe K, and which are to be sent again. Each byte
// is in one place: it has arrived; it is in flight on one stripe; it is to be reinjected, since its stripe
// was lost; or it was never given to one. The end of the direction is a byte, too. Its owner's lock guards
// it.
type schedule[K comparable] struct {
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

func newSchedule[K comparable](from uint64) *schedule[K] {
	return &schedule[K]{arrived: from, next: from, inFlight: make(map[K][]piece)}
}

// waiting counts the bytes that no stripe has, of a direction with so many in all.
func (s *schedule[K]) waiting(total uint64) uint64 { return s.reinject.total() + total - s.next }

// take gives k the next piece, if there is one. What was lost goes first.
func (s *schedule[K]) take(k K, total uint64, now time.Time) (span, bool) {
	var n span
	switch {
	case len(s.reinject) > 0:
		n.begin = s.reinject[0].begin
		n.end = min(s.reinject[0].end, n.begin+pieceSize)
		s.reinject.dropBefore(n.end)
	case s.next < total:
		n = span{s.next, min(total, s.next+pieceSize)}
		s.next = n.end
	default:
		return n, false
	}
	s.inFlight[k] = append(s.inFlight[k], piece{span: n, began: now})
	return n, true
}

// written notes how long it took to write a piece that was taken at began.
func (s *schedule[K]) written(began, now time.Time) {
	s.writeTime += (now.Sub(began) - s.writeTime) / 8
}

// lost has what k carried sent over another stripe.
func (s *schedule[K]) lost(k K) {
	for _, p := range s.inFlight[k] {
		s.reinject.add(p.span)
	}
	delete(s.inFlight, k)
}

// arrive notes how much the peer has without a gap. It reports whether that is news.
func (s *schedule[K]) arrive(offset uint64) bool {
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

// first returns the piece with the first byte that has not arrived, and its stripe, if one has it.
func (s *schedule[K]) first() (of K, first piece, ok bool) {
	for k, pieces := range s.inFlight {
		for _, p := range pieces {
			if p.begin <= s.arrived && s.arrived < p.end {
				return k, p, true
			}
		}
	}
	return of, first, false
}

// stripes returns those with something in flight.
func (s *schedule[K]) stripes() []K { return slices.Collect(maps.Keys(s.inFlight)) }
