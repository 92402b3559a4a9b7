package memory

import (
	"sync"
	"time"
)

const (
	// overdue is how long the budget may be exceeded before somebody has to go: by then those who read have
	// made room.
	overdue = 250 * time.Millisecond
	// grown is how long bytes must have waited, on average, before their holder may have to go: received
	// bytes are acked within a second.
	grown = 1500 * time.Millisecond
	// hurry: whoever has less than its share may exceed the budget by one part in hurry, and by a second one
	// if its account has less than its share. When that is not enough, also because of bytes that nobody
	// asked for, somebody goes at once.
	hurry = 16
	// minRoom is the least that is worth reading.
	minRoom = 2 << 10
	// atATime is how many holdings Excess returns at once.
	atATime = 64
)

// Accounts are those who share a budget of memory that a program may hold for others: what they have not
// received, and what they do not read. Code that takes some for an account asks first (Holding.Room) and
// reports what it takes and releases.
//
// While memory is short, each account has a share, and within it each of its holdings: those below their
// share may go on, and those furthest above go first.
type Accounts struct {
	limit int64 // bytes
	begin time.Time

	mu      sync.Mutex
	used    int64 // by all accounts
	peak    int64 // of used, since the last call of Peak
	leaving int64 // of used, in holdings that were returned by Excess
	all     group // the accounts that hold something, and their groups
	active  map[*Account]struct{}
	over    time.Duration // since when the limit is exceeded; 0: it is not
	refused bool          // since the last Excess, somebody with less than its share got nothing
	room    chan struct{} // closed when it is worth asking again; nil: nobody waits
}

// New makes accounts that share a budget of so many bytes.
func New(limit int64) *Accounts {
	return &Accounts{limit: limit, begin: time.Now(), active: make(map[*Account]struct{})}
}

// Account makes an account, which need not be closed. Twice the weight gives twice the share.
func (m *Accounts) Account(weight int) *Account {
	return m.accountIn(&m.all, weight)
}

// Limit is the budget in bytes.
func (m *Accounts) Limit() int64 { return m.limit }

// Used is how many bytes are held.
func (m *Accounts) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Peak is how many bytes were held at most since the last call.
func (m *Accounts) Peak() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	peak := m.peak
	m.peak = m.used
	return peak
}

// now is never 0.
func (m *Accounts) now() time.Duration { return time.Since(m.begin) + 1 }

// Freed returns a channel that is closed when it is worth asking for room again.
func (m *Accounts) Freed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room == nil {
		m.room = make(chan struct{})
	}
	return m.room
}

// aboveLocked is how far those with less than their share of an account may exceed the limit; accounts with
// less than their share may by as much again.
func (m *Accounts) aboveLocked() int64 { return max(m.limit/hurry, minRoom) }

// Retry makes all who wait ask again, since shares may have changed. Call it often while there is Pressure.
func (m *Accounts) Retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retryLocked()
}

func (m *Accounts) retryLocked() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

// Pressure reports whether somebody waits, or more than half is used and the rest may not last long.
func (m *Accounts) Pressure() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.room != nil || m.used > m.limit/2
}

// changeLocked adds n bytes.
func (m *Accounts) changeLocked(h *Holding, n int64) {
	a := h.account
	if a.used == 0 {
		m.active[a] = struct{}{}
		a.group.growLocked(a.weight)
	}
	if h.bytes == 0 {
		a.holdings[h] = struct{}{}
	}
	m.used, a.used, h.bytes = m.used+n, a.used+n, h.bytes+n
	m.peak = max(m.peak, m.used)
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

// Excess returns the holdings that have to go to keep the budget: of the account furthest above its share the
// one with the greatest product of bytes and age, then the next; at most atATime. Each is returned once; the
// caller ends what it stands for.
func (m *Accounts) Excess() (all []*Holding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	atOnce := m.refused || m.used-m.leaving > m.limit+2*m.aboveLocked()
	m.refused = false
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

func (m *Accounts) worstLocked(now time.Duration, young bool) (worst *Holding) {
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
