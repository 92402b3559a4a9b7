// Package portrange has sets of ports as people write them.
//
// It must not know what they are for.
package portrange

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

const (
	maxRangeText  = 1024 // bytes
	maxRangeParts = 64
)

// Range is a set of ports from 1 to 65535. The zero Range has none.
type Range struct {
	spans []span // ascending and separate
}

// span is the ports from first to last, both included.
type span struct{ first, last uint16 }

func (s span) String() string {
	if s.first == s.last {
		return strconv.Itoa(int(s.first))
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
}

// Parse reads one or more parts separated by commas, each "a-b" with both ends included, or a single
// port: "20000-20010,30000". There may be at most 64 parts, in any order, which must not overlap; spaces
// around numbers are allowed.
func Parse(s string) (Range, error) {
	if len(s) > maxRangeText {
		return Range{}, &rangeError{fmt.Sprintf("port range: %d bytes are too many", len(s))}
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxRangeParts {
		return Range{}, &rangeError{fmt.Sprintf("port range: %d parts, but only %d are allowed", len(parts), maxRangeParts)}
	}
	var r Range
	for _, part := range parts {
		parsed, err := parseSpan(part)
		if err != nil {
			return Range{}, err
		}
		r.spans = append(r.spans, parsed)
	}
	slices.SortFunc(r.spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for i, after := range r.spans[1:] {
		if before := r.spans[i]; after.first <= before.last {
			return Range{}, &rangeError{fmt.Sprintf("port range: %v and %v overlap", before, after)}
		}
	}
	return r, nil
}

func parseSpan(part string) (span, error) {
	from, to, isSpan := strings.Cut(part, "-")
	first, err := parsePort(from)
	if err != nil {
		return span{}, err
	}
	if !isSpan {
		return span{first, first}, nil
	}
	last, err := parsePort(to)
	if err != nil {
		return span{}, err
	}
	if last < first {
		return span{}, &rangeError{fmt.Sprintf("port range: %d-%d ends before it begins; write it as %d-%d", first, last, last, first)}
	}
	return span{first, last}, nil
}

func parsePort(s string) (uint16, error) {
	s = strings.Trim(s, " \t")
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, &rangeError{fmt.Sprintf("port range: %.20q is not a port from 1 to 65535", s)}
	}
	return uint16(port), nil
}

// rangeError says what is wrong with the text of a range.
type rangeError struct{ text string }

func (e *rangeError) Error() string { return e.text }
func (*rangeError) Hint() string {
	return "write ports as 20000-22000, or with commas as 20000-20010,30000"
}

// String returns the parts by ascending port, in the form that Parse reads.
func (r Range) String() string {
	parts := make([]string, len(r.spans))
	for i, s := range r.spans {
		parts[i] = s.String()
	}
	return strings.Join(parts, ",")
}

// Contains reports whether port is in the range.
func (r Range) Contains(port uint16) bool {
	return slices.ContainsFunc(r.spans, func(s span) bool { return s.first <= port && port <= s.last })
}

// Size is the number of ports.
func (r Range) Size() (n int) {
	for _, s := range r.spans {
		n += int(s.last) - int(s.first) + 1
	}
	return n
}

// All yields the ports, ascending.
func (r Range) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for _, s := range r.spans {
			for port := int(s.first); port <= int(s.last); port++ {
				if !yield(uint16(port)) {
					return
				}
			}
		}
	}
}

// IsZero reports whether the range has no port.
func (r Range) IsZero() bool { return len(r.spans) == 0 }

// MarshalText returns the form of String. The error is always nil.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [Parse]; r is unchanged if text is invalid.
func (r *Range) UnmarshalText(text []byte) error {
	if len(text) > maxRangeText { // before it is copied
		return &rangeError{fmt.Sprintf("port range: %d bytes are too many", len(text))}
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
