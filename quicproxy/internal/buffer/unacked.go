package buffer

import "slices"

// minChunk is the size of the first chunk that few bytes are copied into; chunks double up to MaxChunk. A
// stream whose bytes were all acked has none. Bytes that fill half of the memory that they came in stay there.
const minChunk = 256

// Unacked holds the bytes from begin to end of a direction, which the peer has not acked. Its owner's lock
// guards it.
type Unacked struct {
	begin, end uint64
	chunks     []*Chunk // the first one has begin in it
	memory     int      // of all chunks, also of those that are only pinned

	count func(bytes, counted int) // nil: nobody counts
}

// Count calls count at once with the memory that there is, and then at each change: bytes is by how much there
// is more, and counted how much of what was counted before (Add, Uncount) no longer is.
func (k *Unacked) Count(count func(bytes, counted int)) {
	k.count = count
	count(k.memory, 0)
}

// smallChunk is a chunk with its bytes.
type smallChunk struct {
	Chunk
	bytes [minChunk]byte
}

// Chunk is a piece of memory with bytes in it.
type Chunk struct {
	begin uint64 // of data
	data  []byte // a buffer, if its capacity is Size
	given bool   // as it is: nothing is appended
	pins  int    // how many read data without the lock
	gone  bool   // released, and only pinned
}

func (c *Chunk) end() uint64 { return c.begin + uint64(len(c.data)) }

// Add appends p, which it takes over and of which so much counts already: few bytes are copied, so that they
// take no more than that.
func (k *Unacked) Add(p []byte, counted int) {
	if before := k.memory; len(p) < cap(p)/2 {
		k.Copy(p)
		Free(p)
		k.tell(k.memory-before, counted)
		return
	}
	k.chunks = append(k.chunks, &Chunk{begin: k.end, data: p, given: true})
	k.end += uint64(len(p))
	k.memory += cap(p)
	k.tell(cap(p), counted)
}

// Copy appends a copy of p. Its caller tells how much memory that takes.
func (k *Unacked) Copy(p []byte) {
	for len(p) > 0 {
		last := len(k.chunks) - 1
		if last < 0 || k.chunks[last].given || len(k.chunks[last].data) == cap(k.chunks[last].data) {
			size := minChunk
			if last >= 0 {
				size = min(2*cap(k.chunks[last].data), MaxChunk)
			}
			for size < min(len(p), MaxChunk) {
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

func newChunk(begin uint64, size int) *Chunk {
	if size == minChunk {
		small := &smallChunk{Chunk: Chunk{begin: begin}}
		small.data = small.bytes[:0]
		return &small.Chunk
	}
	return &Chunk{begin: begin, data: make([]byte, 0, size)}
}

// From returns the bytes at offset, and their chunk, pinned; none at the end.
func (k *Unacked) From(offset uint64) ([]byte, *Chunk) {
	for _, c := range k.chunks {
		if offset < c.end() {
			c.pins++
			return c.data[offset-c.begin:], c
		}
	}
	return nil, nil
}

// Unpin says that the caller no longer reads c.
func (k *Unacked) Unpin(c *Chunk) {
	if c.pins--; c.pins == 0 && c.gone {
		k.free(c)
	}
}

// Release forgets what is before offset. A buffer that is being read is recycled only after that, whatever
// the peer has acked: it will be another client's.
func (k *Unacked) Release(offset uint64) {
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

func (k *Unacked) free(c *Chunk) {
	k.Charge(-cap(c.data))
	Free(c.data)
	c.data = nil
}

// Charge counts other memory that is held for this direction, or no longer.
func (k *Unacked) Charge(bytes int) {
	k.memory += bytes
	k.tell(bytes, 0)
}

// Uncount says that so many bytes counted before, and no longer do.
func (k *Unacked) Uncount(counted int) { k.tell(0, counted) }

func (k *Unacked) tell(bytes, counted int) {
	if k.count != nil {
		k.count(bytes, counted)
	}
}

// Begin is the offset of the first unacked byte.
func (k *Unacked) Begin() uint64 { return k.begin }

// End is the offset behind the last byte that was added.
func (k *Unacked) End() uint64 { return k.end }

// Size counts the unacked bytes.
func (k *Unacked) Size() int { return int(k.end - k.begin) }

// Bytes returns a copy of the unacked bytes, not nil. Nothing may have been acked yet.
func (k *Unacked) Bytes() []byte {
	all := []byte{}
	for _, c := range k.chunks {
		all = append(all, c.data...)
	}
	return all
}
