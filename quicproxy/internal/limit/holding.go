package limit

import "time"

// Holding is what one relay or connection holds for an account. Its other fields belong to Memory.mu.
type Holding struct {
	Owner any // who holds it

	account *Account
	bytes   int64
	// since is when the bytes came, on average. It advances in proportion as new bytes replace old ones: one
	// of a million leaving says little.
	since   time.Duration
	leaving bool // it was returned by Excess
	closed  bool
}

// Add notes that n more bytes are held, or fewer if n is negative. After Close it does nothing.
func (h *Holding) Add(n int) {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.closed || n == 0 {
		return
	}
	h.addLocked(int64(n), m.now())
}

func (h *Holding) addLocked(n int64, now time.Duration) {
	if n = max(n, -h.bytes); n > 0 {
		h.renewLocked(n, h.bytes+n, now)
	}
	if n != 0 {
		h.account.memory.changeLocked(h, n)
	}
}

// renewLocked notes that fresh of all bytes came now.
func (h *Holding) renewLocked(fresh, all int64, now time.Duration) {
	part := min(float64(fresh)/float64(all), 1)
	h.since += time.Duration(part * float64(now-h.since))
}

// Set notes that bytes are held where before bytes were, and that left bytes have left meanwhile and were
// replaced.
func (h *Holding) Set(before, bytes, left int) {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.closed {
		return
	}
	now := m.now()
	if left > 0 && h.bytes > 0 {
		h.renewLocked(int64(left), h.bytes, now)
	}
	h.addLocked(int64(bytes-before), now)
}

// Room is how many bytes may be taken now, at most want. 0: none until Memory.Freed. A holding without bytes
// always has its share, however small.
func (h *Holding) Room(want int) int {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	room, least := m.limit-m.used, int64(minRoom)
	if room < int64(want) {
		share := h.account.shareLocked()
		holdings := int64(len(h.account.holdings))
		if h.bytes == 0 {
			holdings++
			least = max(min(least, share/holdings), 1)
		}
		room = max(room, share-h.account.used, share/holdings-h.bytes)
	}
	if room < min(least, int64(want)) {
		return 0
	}
	return int(min(room, int64(want)))
}

// Held is how many bytes are held, and for how long on average.
func (h *Holding) Held() (bytes int64, age time.Duration) {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	return h.bytes, m.now() - h.since
}

// Close releases everything.
func (h *Holding) Close() {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if !h.closed {
		h.addLocked(-h.bytes, m.now())
		h.closed = true
	}
}
