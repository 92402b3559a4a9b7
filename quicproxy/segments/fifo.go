package segments

import "slices"

// Few bytes are copied into chunks that double from minChunk on, as long as four fit into one; others into chunks of
// their size; a relay whose bytes were all received has none. Many bytes stay in the buffer that they came in.
const (
	minChunk = 256
	maxChunk = 16 << 10
)

// fifo holds the bytes from begin to end.
type fifo struct {
	begin, end uint64
	chunks     []chunk // the first one has begin in it
	memory     int     // bytes that the chunks take
	recycle    func(buffer []byte)
	count      func(bytes int) // of memory: how many more are taken, or fewer; nil: nobody counts

	// pinned is the chunk that the caller may read. It counts, and must not be used for anything else, as long, whatever
	// the other side says that it has; dropped says that only the caller still needs it.
	pinned  chunk
	dropped bool
}

type chunk struct {
	begin uint64 // of data
	data  []byte
	taken bool // data is a buffer that was given to give
}

// append adds a copy of p.
func (f *fifo) append(p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxChunk)
		f.copyIn(p[:n])
		p = p[n:]
	}
}

// give adds p, and pins it until unpin. It may take the buffer p instead of copying it, and reports that; kept is where the
// bytes are.
func (f *fifo) give(p []byte) (kept []byte, taken bool) {
	if taken = 2*len(p) >= cap(p) && len(p) >= maxChunk; taken {
		kept = p
		f.add(chunk{f.end, p, true})
		f.end += uint64(len(p))
	} else {
		kept = f.copyIn(p)
	}
	f.pinned, f.dropped = f.chunks[len(f.chunks)-1], false
	return kept, taken
}

// copyIn adds a copy of p in one piece.
func (f *fifo) copyIn(p []byte) (kept []byte) {
	last := len(f.chunks) - 1
	if last < 0 || f.chunks[last].taken || cap(f.chunks[last].data)-len(f.chunks[last].data) < len(p) {
		size := minChunk
		if last >= 0 {
			size = min(2*cap(f.chunks[last].data), maxChunk)
		}
		if len(p) > size/4 {
			size = len(p)
		}
		data := slices.Grow([]byte(nil), size) // as the allocator rounds it
		f.add(chunk{begin: f.end, data: data})
		last++
	}
	data := &f.chunks[last].data
	*data = append(*data, p...)
	f.end += uint64(len(p))
	return (*data)[len(*data)-len(p):]
}

func (f *fifo) add(c chunk) {
	f.chunks = append(f.chunks, c)
	f.countMore(cap(c.data))
}

func (f *fifo) countMore(bytes int) {
	f.memory += bytes
	if f.count != nil && bytes != 0 {
		f.count(bytes)
	}
}

// copyFrom fills p with the bytes from offset on, which must all be there.
func (f *fifo) copyFrom(offset uint64, p []byte) {
	for _, c := range f.chunks {
		if skip := offset - c.begin; offset >= c.begin && skip < uint64(len(c.data)) {
			n := copy(p, c.data[skip:])
			offset += uint64(n)
			p = p[n:]
		}
	}
}

// release forgets what is before offset.
func (f *fifo) release(offset uint64) {
	f.begin = offset
	n, freed := 0, 0
	for ; n < len(f.chunks) && f.chunks[n].begin+uint64(len(f.chunks[n].data)) <= offset; n++ {
		c := f.chunks[n]
		switch {
		case f.isPinned(c):
			f.dropped = true
			continue // it is there until unpin
		case c.taken:
			f.recycle(c.data)
		}
		freed += cap(c.data)
	}
	f.countMore(-freed)
	if n == len(f.chunks) {
		f.chunks = nil
		return
	}
	f.chunks = append(f.chunks[:0], f.chunks[n:]...)
}

// isPinned reports whether c is what the caller reads.
func (f *fifo) isPinned(c chunk) bool {
	return f.pinned.data != nil && &f.pinned.data[:1][0] == &c.data[:1][0]
}

// unpin says that the caller reads no more what it gave last.
func (f *fifo) unpin() {
	if f.dropped {
		f.countMore(-cap(f.pinned.data))
		if f.pinned.taken {
			f.recycle(f.pinned.data)
		}
	}
	f.pinned, f.dropped = chunk{}, false
}
