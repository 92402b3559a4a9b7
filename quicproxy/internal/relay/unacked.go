package relay

import "slices"

// Few bytes are copied into chunks that double from minChunk on; a stream whose bytes were all acked has
// none. Bytes that fill half of the memory that they came in stay there.
const (
	minChunk = 256
	maxChunk = 16 << 10
)

// unacked holds the bytes from begin to end of a direction, which the peer has not acked. Its owner's lock
// guards it.
type unacked struct {
	begin, end uint64
	chunks     []*chunk // the first one has begin in it
	memory     int      // of all chunks, also of those that are only pinned

	// count is told how many more of them there are, or fewer, and how many counted before; nil: nobody
	// counts.
	count func(bytes, counted int)
}

// smallChunk is a chunk with its bytes.
type smallChunk struct {
	chunk
	bytes [minChunk]byte
}

type chunk struct {
	begin uint64 // of data
	data  []byte // a buffer, if its capacity is Size
	given bool   // as it is: nothing is appended
	pins  int    // how many read data without the lock
	gone  bool   // released, and only pinned
}

func (c *chunk) end() uint64 { return c.begin + uint64(len(c.data)) }

// add appends p, which it takes over and of which so much counts already: few bytes are copied, so that they
// take no more than that.
func (k *unacked) add(p []byte, counted int) {
	if before := k.memory; len(p) < cap(p)/2 {
		k.copy(p)
		freeBytes(p)
		k.tell(k.memory-before, counted)
		return
	}
	k.chunks = append(k.chunks, &chunk{begin: k.end, data: p, given: true})
	k.end += uint64(len(p))
	k.memory += cap(p)
	k.tell(cap(p), counted)
}

// copy appends a copy of p. Its caller tells how much memory that takes.
func (k *unacked) copy(p []byte) {
	for len(p) > 0 {
		last := len(k.chunks) - 1
		if last < 0 || k.chunks[last].given || len(k.chunks[last].data) == cap(k.chunks[last].data) {
			size := minChunk
			if last >= 0 {
				size = min(2*cap(k.chunks[last].data), maxChunk)
			}
			for size < min(len(p), maxChunk) {
				size *= 2
			}
			k.chunks = append(k.chunks, newChunk(k.end, size))
			k.memory += size
			last++
		}
		c := k.chunks[last]
		n := min(len(p), cap(c.data)-len(c.data))
		c.data = append(c.data, p[:n]...)
		k.end += uint64(n)
		p = p[n:]
	}
}

func newChunk(begin uint64, size int) *chunk {
	if size == minChunk {
		small := &smallChunk{chunk: chunk{begin: begin}}
		small.data = small.bytes[:0]
		return &small.chunk
	}
	return &chunk{begin: begin, data: make([]byte, 0, size)}
}

// from returns the bytes at offset, and their chunk, pinned; none at the end.
func (k *unacked) from(offset uint64) ([]byte, *chunk) {
	for _, c := range k.chunks {
		if offset < c.end() {
			c.pins++
			return c.data[offset-c.begin:], c
		}
	}
	return nil, nil
}

// unpin says that the caller no longer reads c.
func (k *unacked) unpin(c *chunk) {
	if c.pins--; c.pins == 0 && c.gone {
		k.free(c)
	}
}

// release forgets what is before offset. A buffer that is being read is recycled only after that, whatever
// the peer has acked: it will be another client's.
func (k *unacked) release(offset uint64) {
	k.begin = offset
	n := 0
	for ; n < len(k.chunks) && k.chunks[n].end() <= offset; n++ {
		c := k.chunks[n]
		if c.gone = true; c.pins == 0 {
			k.free(c)
		}
	}
	if n == len(k.chunks) {
		k.chunks = nil
		return
	}
	k.chunks = slices.Delete(k.chunks, 0, n) // which clears what it leaves behind
}

func (k *unacked) free(c *chunk) {
	k.more(-cap(c.data))
	freeBytes(c.data)
	c.data = nil
}

func (k *unacked) more(bytes int) {
	k.memory += bytes
	k.tell(bytes, 0)
}

func (k *unacked) tell(bytes, counted int) {
	if k.count != nil {
		k.count(bytes, counted)
	}
}

// size counts the unacked bytes.
func (k *unacked) size() int { return int(k.end - k.begin) }
