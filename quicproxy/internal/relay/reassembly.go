package relay

import (
	"errors"
	"fmt"
)

const (
	// stripeWindow is how far a sender of stripes may be ahead of the reader, in bytes: as far as on a
	// stream, so that a reader that stops costs no more with stripes than without.
	stripeWindow = 4 << 20
	// maxGaps bounds the gaps among them. Each stripe that is behind, or was lost, makes some.
	maxGaps = 1024
)

// reassembly puts the bytes of stripes in order. It takes memory by the page, so that a peer that sends
// single bytes costs no more than one that fills the window. Its owner's lock guards it.
type reassembly struct {
	begin  uint64 // everything before was read
	have   spans  // what is here, from begin on
	pages  map[uint64]*Buffer
	end    uint64          // of the direction,
	ended  bool            // if that is known
	count  func(bytes int) // is told of more memory, or less; nil: nobody counts
	memory int
}

var errContradiction = errors.New("another end of the direction than before")

// put stores bytes of a stripe. Bytes may come twice.
func (r *reassembly) put(offset uint64, p []byte) error {
	n := span{offset, offset + uint64(len(p))}
	switch {
	case n.end > r.begin+stripeWindow:
		return fmt.Errorf("bytes up to %d, where the window ends at %d", n.end, r.begin+stripeWindow)
	case r.ended && n.end > r.end:
		return errContradiction
	}
	n.begin = max(n.begin, r.begin)
	for _, part := range r.have.missing(n) {
		r.copy(part.begin, p[part.begin-offset:part.end-offset])
	}
	r.have.add(n)
	if len(r.have) > maxGaps {
		return errors.New("too many gaps")
	}
	return nil
}

// endAt sets where the direction ends.
func (r *reassembly) endAt(offset uint64) error {
	if r.ended && offset != r.end || len(r.have) > 0 && r.have[len(r.have)-1].end > offset || offset < r.begin {
		return errContradiction
	}
	r.end, r.ended = offset, true
	return nil
}

func (r *reassembly) copy(offset uint64, p []byte) {
	for len(p) > 0 {
		page := r.pages[offset/Size]
		if page == nil {
			if r.pages == nil {
				r.pages = make(map[uint64]*Buffer)
			}
			page = Buffers.Get().(*Buffer)
			r.pages[offset/Size] = page
			r.more(Size)
		}
		n := copy(page[offset%Size:], p)
		offset, p = offset+uint64(n), p[n:]
	}
}

// arrived returns the end of what came without a gap. The end of the direction counts as one byte.
func (r *reassembly) arrived() uint64 {
	at := r.begin
	if len(r.have) > 0 && r.have[0].begin == at {
		at = r.have[0].end
	}
	if r.ended && at == r.end {
		at++
	}
	return at
}

// take moves the next bytes to b.
func (r *reassembly) take(b []byte) (n int) {
	if len(r.have) == 0 || r.have[0].begin != r.begin {
		return 0
	}
	end := min(r.have[0].end, r.begin+uint64(len(b)))
	for at := r.begin; at < end; {
		took := copy(b[n:end-r.begin], r.pages[at/Size][at%Size:])
		n, at = n+took, at+uint64(took)
	}
	r.dropBefore(end)
	return n
}

// dropBefore forgets what was read, also elsewhere.
func (r *reassembly) dropBefore(offset uint64) {
	if offset <= r.begin {
		return
	}
	r.begin = offset
	r.have.dropBefore(offset)
	for n, page := range r.pages {
		if (n+1)*Size <= offset || len(r.have) == 0 {
			r.free(n, page)
		}
	}
}

// atEnd reports whether everything was read, up to the end.
func (r *reassembly) atEnd() bool { return r.ended && r.begin == r.end }

// clear forgets what was not read: it will come again.
func (r *reassembly) clear() {
	r.have, r.ended = nil, false
	for n, page := range r.pages {
		r.free(n, page)
	}
}

func (r *reassembly) free(n uint64, page *Buffer) {
	delete(r.pages, n)
	Buffers.Put(page)
	r.more(-Size)
}

func (r *reassembly) more(bytes int) {
	r.memory += bytes
	if r.count != nil {
		r.count(bytes)
	}
}
