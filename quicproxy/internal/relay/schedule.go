package relay

import (
	"maps"
	"slices"
	"time"
)

// pieceSize is how many bytes a stripe gets at once. A stripe of a connection that is slow holds the others up with no more
// than that, and 16 KiB in packets are sent by one that is fast within a round trip.
const pieceSize = 16 << 10

// schedule says which bytes of a direction go over which stripe K, and which go again. Each byte is in one place: it has
// arrived; it is with one stripe; it is in again, since its stripe was lost; or it was never given to any. The end of the
// direction is a byte, too. Its owner's lock guards it.
type schedule[K comparable] struct {
	arrived uint64 // so much the peer has without a gap
	next    uint64 // from here on nothing was given to a stripe
	again   spans
	with    map[K][]piece
	took    time.Duration // smoothed: until a piece was written
}

// piece is a span that a stripe was given.
type piece struct {
	span
	began time.Time
}

func newSchedule[K comparable](from uint64) *schedule[K] {
	return &schedule[K]{arrived: from, next: from, with: make(map[K][]piece)}
}

// waiting is how many bytes no stripe has, of a direction with so many in all.
func (s *schedule[K]) waiting(total uint64) uint64 { return s.again.total() + total - s.next }

// take gives k the next piece; what was lost goes first. There may be none.
func (s *schedule[K]) take(k K, total uint64, now time.Time) (span, bool) {
	var n span
	switch {
	case len(s.again) > 0:
		n.begin = s.again[0].begin
		n.end = min(s.again[0].end, n.begin+pieceSize)
		s.again.dropBefore(n.end)
	case s.next < total:
		n = span{s.next, min(total, s.next+pieceSize)}
		s.next = n.end
	default:
		return n, false
	}
	s.with[k] = append(s.with[k], piece{span: n, began: now})
	return n, true
}

// written: a piece that was taken at began is under way.
func (s *schedule[K]) written(began, now time.Time) { s.took += (now.Sub(began) - s.took) / 8 }

// lost: what k has goes over another one.
func (s *schedule[K]) lost(k K) {
	for _, p := range s.with[k] {
		s.again.add(p.span)
	}
	delete(s.with, k)
}

// arrive: the peer has so much without a gap. It reports whether that is news.
func (s *schedule[K]) arrive(offset uint64) bool {
	if offset <= s.arrived {
		return false
	}
	s.arrived, s.next = offset, max(s.next, offset)
	s.again.dropBefore(offset)
	for k, pieces := range s.with {
		pieces = slices.DeleteFunc(pieces, func(p piece) bool { return p.end <= offset })
		for i := range pieces {
			pieces[i].begin = max(pieces[i].begin, offset)
		}
		if s.with[k] = pieces; len(pieces) == 0 {
			delete(s.with, k)
		}
	}
	return true
}

// first returns the piece that has the first byte that has not arrived, if a stripe has it.
func (s *schedule[K]) first() (of K, first piece, ok bool) {
	for k, pieces := range s.with {
		for _, p := range pieces {
			if p.begin <= s.arrived && s.arrived < p.end {
				return k, p, true
			}
		}
	}
	return of, first, false
}

// stripes are those that have something.
func (s *schedule[K]) stripes() []K { return slices.Collect(maps.Keys(s.with)) }
