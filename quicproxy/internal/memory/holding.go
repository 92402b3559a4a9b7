package memory

import "time"

// Holding is what one relay or connection holds for an account. Its other fields belong to Accounts.mu.
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
	h.addLocked(int64(n), 0, m.now())
}

// Keep notes that n bytes have come, for which Take had taken memory: what it took beyond them is given back.
func (h *Holding) Keep(n, taken int) {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if !h.closed {
		h.addLocked(int64(n), int64(taken), m.now())
	}
}

// addLocked has n bytes come, for which some were taken.
func (h *Holding) addLocked(n, taken int64, now time.Duration) {
	if n > 0 {
		h.renewLocked(n, max(h.bytes-taken, 0)+n, now)
	}
	if n = max(n-taken, -h.bytes); n != 0 {
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
	h.addLocked(int64(bytes-before), 0, now)
}

// Room is how many bytes may be taken now, at most want. 0: none until Accounts.Freed. A holding without bytes
// always has its share, however small.
func (h *Holding) Room(want int) int {
	h.account.memory.mu.Lock()
	defer h.account.memory.mu.Unlock()
	return h.roomLocked(want)
}

// Take takes memory for so many bytes, or for few at most while there is less, before they come. It returns
// for how many; 0: there is no room until Accounts.Freed. Keep is to follow.
func (h *Holding) Take(want, few int) int {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	n := h.roomLocked(want)
	if n < want {
		n = min(n, few)
	}
	if n > 0 && !h.closed {
		m.changeLocked(h, int64(n))
	}
	return n
}

func (h *Holding) roomLocked(want int) int {
	m := h.account.memory
	room, least := m.limit-m.used, int64(minRoom)
	if room < int64(want) {
		ofAccount, own := h.sharesLocked()
		if h.bytes == 0 {
			least = max(min(least, own), 1)
		}
		above := m.limit + m.aboveLocked() - m.used
		if ofAccount > 0 {
			above += m.aboveLocked() // which nobody has who is above the share of its account
		}
		shared := max(ofAccount, own)
		m.refused = m.refused || shared >= least && above < least
		room = max(room, min(shared, above))
	}
	if room < min(least, int64(want)) {
		return 0
	}
	return int(min(room, int64(want)))
}

// sharesLocked is how much less than its share its account has, and how much less it has than its own share
// of that.
func (h *Holding) sharesLocked() (ofAccount, own int64) {
	share, holdings := h.account.shareLocked(), int64(len(h.account.holdings))
	if h.bytes == 0 {
		holdings++
	}
	return share - h.account.used, share/holdings - h.bytes
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
		h.addLocked(-h.bytes, 0, m.now())
		h.closed = true
	}
}
