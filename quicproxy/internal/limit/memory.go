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
	all     group // the accounts that have something, and the groups of some
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
	return m.accountIn(&m.all, weight)
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
		a.group.growLocked(a.weight)
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
		a.group.growLocked(-a.weight)
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
