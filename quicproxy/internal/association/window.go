package association

// windowSize is how many numbers a window remembers, in 8 KiB.
const windowSize = 1 << 16

// window is the set of the relay numbers seen, of which it remembers the highest. What is further below
// counts as seen, so that nothing begins twice, whatever comes late (as the replay windows of RFC 4303
// section 3.4.3 do).
type window struct {
	top  uint64   // the highest number seen
	seen []uint64 // bits, by number modulo windowSize; nil: none
}

// add marks a number, and reports false if it was seen before.
func (w *window) add(number uint64) bool {
	if w.has(number) {
		return false
	}
	if w.seen == nil {
		w.seen = make([]uint64, windowSize/64)
	}
	if number > w.top {
		if number-w.top >= windowSize {
			clear(w.seen)
		} else {
			for n := w.top + 1; n < number; n++ {
				w.seen[n%windowSize/64] &^= 1 << (n % 64)
			}
		}
		w.top = number
	}
	w.seen[number%windowSize/64] |= 1 << (number % 64)
	return true
}

func (w *window) has(number uint64) bool {
	switch {
	case number > w.top:
		return false
	case w.top-number >= windowSize:
		return true
	}
	return w.seen != nil && w.seen[number%windowSize/64]&(1<<(number%64)) != 0
}
