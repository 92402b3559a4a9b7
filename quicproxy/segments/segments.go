// Package segments lets a relay outlive the connection that carries it.
//
// A direction of a relay is a sequence of bytes, numbered from 0; its end (FIN) counts as one more. As long as all
// goes well one stream carries all of it, and this package only keeps what the other side has not confirmed
// yet (Outgoing), and counts (Incoming). When that stream is lost, or is too slow, the rest is cut into
// segments, each of which may go over any connection, any number of times and in any order: Outgoing says which
// goes where next, Incoming puts them together.
//
// The package knows no connection, no clock and no goroutine; what carries segments is a value that can be
// compared. docs/protocol.md section 6.4 has the rules.
package segments

const (
	// Size is the most bytes of a segment.
	Size = 64 << 10
	// Window is how far segments reach beyond what the other side has received: what it holds at most.
	Window = 4 << 20
	// Limit is how many bytes are kept until the other side has received them. It is more than the flow control of
	// a stream lets through, so that keeping never slows a stream down.
	Limit = 2 * Window

	// striped is the size of segments while there are several carriers: the slowest of them holds all others up
	// for as long as it takes for one.
	striped = 16 << 10
)

// Segment is a piece of one direction of a relay.
type Segment struct {
	Offset uint64 // of its first byte
	Length int    // bytes, 0 to Size
	End    bool   // the direction ends after it
}

// next is the number after the last that the segment has.
func (s Segment) next() uint64 {
	next := s.Offset + uint64(s.Length)
	if s.End {
		next++
	}
	return next
}
