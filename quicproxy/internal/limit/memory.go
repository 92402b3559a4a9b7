package limit

import (
	"sync"
	"time"
)

const (
	// overdue is how long more than the budget may be held before somebody has to go: who reads makes room by then.
	overdue = 250 * time.Millisecond
	// grown is how long bytes must have waited, on average, for their holder to have to go: what is received is told
	// within a second.
	grown = 1500 * time.Millisecond
	// hurry is the part of the budget by which it may be exceeded for so long. Above that somebody goes at once.
	hurry = 16
	// minRoom is the least that is worth to be read.
	minRoom = 2 << 10
	// atATime is how many holdings are told to go at once.
	atATime = 64
)

// Memory is the budget of memory that a program may hold for others: what they have not received, and what they do not
// read. Whoever takes some for an account asks first (Holding.Room) and says what it took and gave back.
//
// While there is less than all want, each account has a share, and within it each of its holdings: who has less than that may go
// on, and who has most above it goes first.
type Memory struct {
	limit int64 // bytes
	begin time.Time

	mu      sync.Mutex
	used    int64 // by all accounts
	leaving int64 // of that, by holdings that were told to go
	weights int64 // of the active accounts
	active  map[*Account]struct{}
	over    time.Duration // since when more than the limit is used; 0: it is not
	room    chan struct{} // closed when it is worth to ask again; nil: nobody waits
}

// NewMemory makes a budget of so many bytes.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: limit, begin: time.Now(), active: make(map[*Account]struct{})}
}

// Account makes an account. It needs not be closed. One of twice the weight has twice the share.
func (m *Memory) Account(weight int) *Account {
	return &Account{memory: m, weight: int64(max(weight, 1)), holdings: make(map[*Holding]struct{})}
}

// Limit is the budget in bytes.
func (m *Memory) Limit() int64 { return m.limit }

// Used is how many bytes are held.
func (m *Memory) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// now is never 0.
func (m *Memory) now() time.Duration { return time.Since(m.begin) + 1 }

// Freed returns a channel that is closed when it is worth to ask for room again.
func (m *Memory) Freed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room == nil {
		m.room = make(chan struct{})
	}
	return m.room
}

// Retry has all who wait ask again: shares may have changed. It is to be called often while there is Pressure.
func (m *Memory) Retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retryLocked()
}

func (m *Memory) retryLocked() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

// Pressure reports whether somebody waits, or more than half is used: then it may not last for long.
func (m *Memory) Pressure() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.room != nil || m.used > m.limit/2
}

// changeLocked is told of n more bytes.
func (m *Memory) changeLocked(h *Holding, n int64) {
	a := h.account
	if a.used == 0 {
		m.active[a] = struct{}{}
		m.weights += a.weight
	}
	if h.bytes == 0 {
		a.holdings[h] = struct{}{}
	}
	m.used, a.used, h.bytes = m.used+n, a.used+n, h.bytes+n
	if h.leaving {
		m.leaving, a.leaving = m.leaving+n, a.leaving+n
	}
	if h.bytes == 0 {
		delete(a.holdings, h)
	}
	if a.used == 0 {
		delete(m.active, a)
		m.weights -= a.weight
	}
	switch {
	case m.used > m.limit && m.over == 0:
		m.over = m.now()
	case m.used <= m.limit && m.over != 0:
		m.over = 0
		m.retryLocked()
	}
}

// Excess returns the holdings that have to go for the budget to be kept: of the account that is furthest above its share
// the one that holds most for longest, bytes times age, then the next; not many at a time. Each is returned once; the caller
// ends what it stands for.
func (m *Memory) Excess() (all []*Holding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	atOnce := m.used-m.leaving > m.limit+m.limit/hurry
	if m.over == 0 || !atOnce && now-m.over < overdue {
		return nil
	}
	for m.used-m.leaving > m.limit && len(all) < atATime {
		h := m.worstLocked(now, atOnce)
		if h == nil {
			break
		}
		h.leaving = true
		m.leaving, h.account.leaving = m.leaving+h.bytes, h.account.leaving+h.bytes
		all = append(all, h)
	}
	return all
}

func (m *Memory) worstLocked(now time.Duration, young bool) (worst *Holding) {
	var most float64
	for a := range m.active {
		share := a.shareLocked()
		above := float64(a.used-a.leaving-share) / float64(share)
		if above <= 0 || worst != nil && above <= most {
			continue
		}
		if h := a.worstLocked(now, young); h != nil {
			worst, most = h, above
		}
	}
	return worst
}

// Account is what one owner of bytes holds: a node, or the address of a public client. Its fields belong to Memory.mu.
type Account struct {
	memory   *Memory
	weight   int64
	used     int64
	leaving  int64                 // of that, by holdings that were told to go
	holdings map[*Holding]struct{} // those with bytes
}

// Open makes a holding, which somebody closes, for owner.
func (a *Account) Open(owner any) *Holding { return &Holding{Owner: owner, account: a} }

// Weigh gives the account another weight.
func (a *Account) Weigh(weight int) {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.used > 0 {
		m.weights += int64(max(weight, 1)) - a.weight
	}
	a.weight = int64(max(weight, 1))
}

// Used is how many bytes the account holds.
func (a *Account) Used() int64 {
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	return a.used
}

// shareLocked is what the account has of the budget, if it is active or were.
func (a *Account) shareLocked() int64 {
	weights := a.memory.weights
	if a.used == 0 {
		weights += a.weight
	}
	return max(a.memory.limit*a.weight/weights, 1)
}

// worstLocked is the holding with the greatest product of bytes and age, of those above their share of the account. What has
// come just now is not without any age, or few old bytes would weigh more than many new ones.
func (a *Account) worstLocked(now time.Duration, young bool) (worst *Holding) {
	var most float64
	share := a.shareLocked() / int64(len(a.holdings))
	for h := range a.holdings {
		age := now - h.since
		if h.leaving || h.bytes <= share || !young && age < grown {
			continue
		}
		if product := float64(h.bytes) * (age + grown).Seconds(); product > most {
			worst, most = h, product
		}
	}
	return worst
}

// Holding is what one relay or connection holds for an account. Its other fields belong to Memory.mu.
type Holding struct {
	Owner any // who holds it

	account *Account
	bytes   int64
	// since is when the bytes came, on average. It moves on as others take their place, in proportion: a byte that leaves
	// a million says little.
	since   time.Duration
	leaving bool // it was told to go
	closed  bool
}

// Add notes that n more bytes are held, or fewer if n is negative. After Close nothing is.
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

// renewLocked has fresh bytes of all come now.
func (h *Holding) renewLocked(fresh, all int64, now time.Duration) {
	part := min(float64(fresh)/float64(all), 1)
	h.since += time.Duration(part * float64(now-h.since))
}

// Set notes that bytes were found to be held where before bytes were, and that so many have left meanwhile, in whose
// place others came.
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

// Room is how many bytes may be taken now, want at most. 0: none until Memory.Freed. Who holds nothing has its share,
// however little that is.
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

// Close gives everything back.
func (h *Holding) Close() {
	m := h.account.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if !h.closed {
		h.addLocked(-h.bytes, m.now())
		h.closed = true
	}
}
