package stripes

import (
	"errors"
	"fmt"

	"apquic/quicproxy/internal/buffer"
)

const (
	// MaxWindow is how far a sender of stripes may be ahead of the reader, in bytes: as far as on a
	// stream, so that a reader that stops costs no more with stripes than without.
	MaxWindow = 4 << 20
	// maxGaps bounds the gaps among them. Each stripe that is behind, or was lost, makes some.
	maxGaps = 1024
)

// Reassembly puts the bytes of stripes in order. It takes memory by the page, so that a peer that sends
// single bytes costs no more than one that fills the window. Its owner's lock guards it.
type Reassembly struct {
	begin  uint64 // everything before was read
	have   spans  // what is here, from begin on
	pages  map[uint64][]byte
	end    uint64          // of the direction,
	ended  bool            // if that is known
	count  func(bytes int) // nil: nobody counts
	memory int
}

// Count calls count at once with the memory that there is, and then with each change of it.
func (r *Reassembly) Count(count func(bytes int)) {
	r.count = count
	count(r.memory)
}

// Memory counts the bytes of all pages.
func (r *Reassembly) Memory() int { return r.memory }

var errContradiction = errors.New("another end of the direction than before")

// Put stores bytes of a stripe. Bytes may come twice.
func (r *Reassembly) Put(offset uint64, p []byte) error {
	n := span{offset, offset + uint64(len(p))}
	switch {
	case n.end > r.begin+MaxWindow:
		return fmt.Errorf("bytes up to %d, where the window ends at %d", n.end, r.begin+MaxWindow)
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

// EndAt sets where the direction ends.
func (r *Reassembly) EndAt(offset uint64) error {
	if r.ended && offset != r.end || len(r.have) > 0 && r.have[len(r.have)-1].end > offset || offset < r.begin {
		return errContradiction
	}
	r.end, r.ended = offset, true
	return nil
}

func (r *Reassembly) copy(offset uint64, p []byte) {
	for len(p) > 0 {
		page := r.pages[offset/buffer.Size]
		if page == nil {
			if r.pages == nil {
				r.pages = make(map[uint64][]byte)
			}
			page = buffer.New(buffer.Size)
			r.pages[offset/buffer.Size] = page
			r.more(buffer.Size)
		}
		n := copy(page[offset%buffer.Size:], p)
		offset, p = offset+uint64(n), p[n:]
	}
}

// Arrived returns the end of what came without a gap. The end of the direction counts as one byte.
func (r *Reassembly) Arrived() uint64 {
	at := r.begin
	if len(r.have) > 0 && r.have[0].begin == at {
		at = r.have[0].end
	}
	if r.ended && at == r.end {
		at++
	}
	return at
}

// Take moves the next bytes to b.
func (r *Reassembly) Take(b []byte) (n int) {
	if len(r.have) == 0 || r.have[0].begin != r.begin {
		return 0
	}
	end := min(r.have[0].end, r.begin+uint64(len(b)))
	for at := r.begin; at < end; {
		took := copy(b[n:end-r.begin], r.pages[at/buffer.Size][at%buffer.Size:])
		n, at = n+took, at+uint64(took)
	}
	r.DropBefore(end)
	return n
}

// DropBefore forgets what was read, also elsewhere.
func (r *Reassembly) DropBefore(offset uint64) {
	if offset <= r.begin {
		return
	}
	r.begin = offset
	r.have.dropBefore(offset)
	for n, page := range r.pages {
		if (n+1)*buffer.Size <= offset || len(r.have) == 0 {
			r.free(n, page)
		}
	}
}

// AtEnd reports whether everything was read, up to the end.
func (r *Reassembly) AtEnd() bool { return r.ended && r.begin == r.end }

// Clear forgets what was not read: it will come again.
func (r *Reassembly) Clear() {
	r.have, r.ended = nil, false
	for n, page := range r.pages {
		r.free(n, page)
	}
}

func (r *Reassembly) free(n uint64, page []byte) {
	delete(r.pages, n)
	buffer.Free(page)
	r.more(-buffer.Size)
}

func (r *Reassembly) more(bytes int) {
	r.memory += bytes
	if r.count != nil {
		r.count(bytes)
	}
}
