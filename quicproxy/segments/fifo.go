package segments

// Few bytes are copied into chunks that double from minChunk on; a relay whose bytes were all received has none. Many
// bytes stay in the buffer that they came in.
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

	// pinned is the buffer that was taken last, while the caller may read it. It must not be used for anything else as
	// long, whatever the other side says that it has; dropped says that only the caller still needs it.
	pinned  []byte
	dropped bool
}

type chunk struct {
	begin uint64 // of data
	data  []byte
	taken bool // data is a buffer that was given to append
}

// append adds p. With give it may take the buffer p instead of copying it, and reports that.
func (f *fifo) append(p []byte, give bool) (taken bool) {
	if give && f.pinned == nil && 2*len(p) >= cap(p) && len(p) >= maxChunk {
		f.add(chunk{f.end, p, true})
		f.pinned = p
		f.end += uint64(len(p))
		return true
	}
	for len(p) > 0 {
		last := len(f.chunks) - 1
		if last < 0 || f.chunks[last].taken || len(f.chunks[last].data) == cap(f.chunks[last].data) {
			size := minChunk
			if last >= 0 {
				size = min(2*cap(f.chunks[last].data), maxChunk)
			}
			for size < min(len(p), maxChunk) {
				size *= 2
			}
			f.add(chunk{begin: f.end, data: make([]byte, 0, size)})
			last++
		}
		data := &f.chunks[last].data
		n := min(len(p), cap(*data)-len(*data))
		*data = append(*data, p[:n]...)
		f.end += uint64(n)
		p = p[n:]
	}
	return false
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
		freed += cap(c.data)
		switch {
		case !c.taken:
		case f.pinned != nil && &f.pinned[0] == &c.data[0]:
			f.dropped = true
			freed -= cap(c.data) // it is there until unpin
		default:
			f.recycle(c.data)
		}
	}
	f.countMore(-freed)
	if n == len(f.chunks) {
		f.chunks = nil
		return
	}
	f.chunks = append(f.chunks[:0], f.chunks[n:]...)
}

// unpin says that the caller does not read the buffer any more that was taken last.
func (f *fifo) unpin() {
	if f.dropped {
		f.countMore(-cap(f.pinned))
		f.recycle(f.pinned)
	}
	f.pinned, f.dropped = nil, false
}
