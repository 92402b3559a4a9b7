package segments

import (
	"errors"
	"slices"
	"sync"
)

// ErrTooFar is what Check returns for a segment that the other side may not have sent yet.
var ErrTooFar = errors.New("a segment is beyond the window")

// Incoming is the receiving end of a direction. One goroutine takes what came (Next, Advance); all else may be
// called concurrently.
type Incoming struct {
	mu       sync.Mutex
	arrived  sync.Cond
	position uint64  // of what was taken; the end counts
	pieces   []piece // what came and was not taken yet, by offset
	held     int     // bytes of memory of pieces
	count    func(bytes int)
	closed   bool
}

// piece is a segment with its bytes.
type piece struct {
	Segment
	data []byte
}

// continues reports whether s goes on where p ends, and both are one piece.
func (p *piece) continues(s Segment) bool {
	return !p.End && p.next() == s.Offset && p.Length+s.Length <= Size
}

// A piece takes memory beyond its bytes, and what is kept in order must not be too many.
const (
	pieceCost = 128
	maxPieces = 4096
)

// NewIncoming makes an Incoming.
func NewIncoming() *Incoming {
	in := new(Incoming)
	in.arrived.L = &in.mu
	return in
}

// Count has count called with each change of the memory that is taken, in bytes. It must not call back. It is to be set
// first.
func (in *Incoming) Count(count func(bytes int)) { in.count = count }

func (in *Incoming) countLocked(bytes int) {
	in.held += bytes
	if in.count != nil && bytes != 0 {
		in.count(bytes)
	}
}

// Position is the number of what was taken so far; the end counts as one.
func (in *Incoming) Position() uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.position
}

// Held is how many bytes of memory wait to be taken.
func (in *Incoming) Held() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.held
}

// Check tells before its bytes are read whether a segment may come: ErrTooFar. With wanted false it is not needed.
func (in *Incoming) Check(s Segment) (wanted bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.checkLocked(s)
}

func (in *Incoming) checkLocked(s Segment) (wanted bool, err error) {
	switch {
	case in.closed || s.next() <= in.position:
		return false, nil
	case s.Offset+uint64(s.Length) > in.position+Window:
		return false, ErrTooFar
	}
	known := slices.ContainsFunc(in.pieces, func(p piece) bool { return p.Offset <= s.Offset && s.next() <= p.next() })
	return !known, nil
}

// Offer hands over a segment with its bytes, and reports whether Next has something now. Segments that overlap each
// other could take any amount of memory, so those that are furthest away may be dropped.
func (in *Incoming) Offer(s Segment, data []byte) (ready bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if wanted, err := in.checkLocked(s); !wanted || err != nil {
		return in.readyLocked()
	}
	at, _ := slices.BinarySearchFunc(in.pieces, s.Offset, func(p piece, offset uint64) int {
		if p.Offset < offset {
			return -1
		}
		return 1
	})
	if at > 0 && in.pieces[at-1].continues(s) {
		// Small pieces would be many. What Next returned stays as it is: this goes behind it.
		p := &in.pieces[at-1]
		before := cap(p.data)
		p.data, p.Length, p.End = append(p.data, data...), p.Length+s.Length, s.End
		in.countLocked(cap(p.data) - before)
	} else {
		in.pieces = slices.Insert(in.pieces, at, piece{s, data})
		in.countLocked(cap(data) + pieceCost)
	}
	for last := len(in.pieces) - 1; last > 0 && (in.held > 2*Window || last >= maxPieces); last-- {
		in.dropLocked(last)
	}
	if ready = in.readyLocked(); ready {
		in.arrived.Broadcast()
	}
	return ready
}

// readyLocked drops what is not needed any more and reports whether there is something to take.
func (in *Incoming) readyLocked() bool {
	for len(in.pieces) > 0 && in.pieces[0].next() <= in.position {
		in.dropLocked(0)
	}
	return len(in.pieces) > 0 && in.pieces[0].Offset <= in.position
}

func (in *Incoming) dropLocked(i int) {
	in.countLocked(-cap(in.pieces[i].data) - pieceCost)
	in.pieces = slices.Delete(in.pieces, i, i+1)
}

// Ready reports whether Next would return at once.
func (in *Incoming) Ready() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed || in.readyLocked()
}

// Next waits for what comes next; Advance says how much of it was taken. end says that nothing follows the bytes; ok is false after Close.
func (in *Incoming) Next() (data []byte, end, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for !in.closed && !in.readyLocked() {
		in.arrived.Wait()
	}
	if in.closed {
		return nil, false, false
	}
	p := in.pieces[0]
	skip := min(in.position-p.Offset, uint64(len(p.data)))
	return p.data[skip:], p.End, true
}

// Advance notes that so many bytes were taken, and the end if end is set.
func (in *Incoming) Advance(n int, end bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.position += uint64(n)
	if end {
		in.position++
	}
	in.readyLocked()
}

// Close frees Next and refuses what still comes.
func (in *Incoming) Close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.countLocked(-in.held)
	in.closed, in.pieces = true, nil
	in.arrived.Broadcast()
}
