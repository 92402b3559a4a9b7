// Package buffer is the memory of bytes on their way: the pools that relays copy with, and what is kept until
// the other side acks it.
//
// It must not know streams or whose memory it is: that is counted where it is taken.
package buffer

import "sync"

const (
	// Size is the size of a copy buffer, in bytes. A write to a stream returns when all of it is under way,
	// so this decides how often a copying goroutine wakes up.
	Size = 64 << 10
	// Small is the size of the buffer for those who have little to copy.
	Small = 4 << 10
	// MaxChunk is the largest chunk that a few bytes are copied into, to be kept.
	MaxChunk = 16 << 10
)

// Buffers are taken only while there is data in hand: an idle relay has none.
var (
	large = sync.Pool{New: func() any { return new([Size]byte) }}
	small = sync.Pool{New: func() any { return new([Small]byte) }}
)

// New returns memory for n bytes: a pooled buffer, if there are any of that size.
func New(n int) []byte {
	switch n {
	case Size:
		return large.Get().(*[Size]byte)[:]
	case Small:
		return small.Get().(*[Small]byte)[:]
	}
	return make([]byte, n)
}

// Free puts p into the pool of its capacity, if there is one. Nobody may use it any longer.
func Free(p []byte) {
	switch cap(p) {
	case Size:
		large.Put((*[Size]byte)(p[:Size]))
	case Small:
		small.Put((*[Small]byte)(p[:Small]))
	}
}
