package stripes

import (
	"cmp"
	"slices"
)

// span is a range of bytes, from begin up to end.
type span struct{ begin, end uint64 }

// spans is a set of bytes: ordered spans that neither overlap nor touch.
type spans []span

// add adds bytes to the set.
func (s *spans) add(n span) {
	if n.begin >= n.end {
		return
	}
	first, _ := slices.BinarySearchFunc(*s, n.begin, func(s span, at uint64) int { return cmp.Compare(s.end, at) })
	last := first
	for ; last < len(*s) && (*s)[last].begin <= n.end; last++ {
		n.begin, n.end = min(n.begin, (*s)[last].begin), max(n.end, (*s)[last].end)
	}
	*s = slices.Replace(*s, first, last, n)
}

// dropBefore removes what is before offset.
func (s *spans) dropBefore(offset uint64) {
	first, _ := slices.BinarySearchFunc(*s, offset, func(s span, at uint64) int { return cmp.Compare(s.end, at+1) })
	*s = slices.Delete(*s, 0, first)
	if len(*s) > 0 {
		(*s)[0].begin = max((*s)[0].begin, offset)
	}
}

// missing returns the parts of n that are not in the set.
func (s spans) missing(n span) (parts []span) {
	first, _ := slices.BinarySearchFunc(s, n.begin, func(s span, at uint64) int { return cmp.Compare(s.end, at+1) })
	for _, here := range s[first:] {
		if here.begin >= n.end {
			break
		}
		if n.begin < here.begin {
			parts = append(parts, span{n.begin, here.begin})
		}
		n.begin = here.end
	}
	if n.begin < n.end {
		parts = append(parts, n)
	}
	return parts
}

// total counts the bytes.
func (s spans) total() (bytes uint64) {
	for _, n := range s {
		bytes += n.end - n.begin
	}
	return bytes
}
