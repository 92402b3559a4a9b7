package acme

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound how many orders the owners of domains cause: at once, and in the long run. Let's Encrypt allows an
// account 300 in three hours.
type Limits struct {
	Burst, Hourly           int // of one owner
	BurstOfAll, HourlyOfAll int
}

// maxOwners is how many owners are remembered.
const maxOwners = 1 << 12

// limiter counts orders.
type limiter struct {
	limits  Limits
	delayed atomic.Uint64 // that had to wait

	sometimes rate.Sometimes // for lines that say so

	mu     sync.Mutex
	all    *rate.Limiter
	owners map[string]*rate.Limiter
}

func newLimiter(limits Limits) *limiter {
	return &limiter{limits: limits, sometimes: rate.Sometimes{Interval: time.Minute}, all: hourly(limits.HourlyOfAll, limits.BurstOfAll), owners: make(map[string]*rate.Limiter)}
}

func hourly(n, burst int) *rate.Limiter { return rate.NewLimiter(rate.Limit(n)/3600, burst) }

// ask takes an order of an owner, or returns how long that has to wait.
func (l *limiter) ask(owner string, now time.Time) (wait time.Duration) {
	if l.limits == (Limits{}) {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range []*rate.Limiter{l.ofLocked(owner, now), l.all} {
		if one.TokensAt(now) < 1 {
			wait = max(wait, time.Duration((1-one.TokensAt(now))/float64(one.Limit())*float64(time.Second))+time.Second)
		}
	}
	if wait > 0 {
		l.delayed.Add(1)
		return wait
	}
	l.ofLocked(owner, now).AllowN(now, 1)
	l.all.AllowN(now, 1)
	return 0
}

// ofLocked is the limiter of one owner. If there are many, those that have used nothing are forgotten, and then all:
// l.all bounds what that allows.
func (l *limiter) ofLocked(owner string, now time.Time) *rate.Limiter {
	if one := l.owners[owner]; one != nil {
		return one
	}
	if len(l.owners) >= maxOwners {
		for name, one := range l.owners {
			if one.TokensAt(now) >= float64(one.Burst()) {
				delete(l.owners, name)
			}
		}
		if len(l.owners) >= maxOwners {
			clear(l.owners)
		}
	}
	one := hourly(l.limits.Hourly, l.limits.Burst)
	l.owners[owner] = one
	return one
}

// Delayed is how many orders had to wait because of the limits.
func (c *Certificates) Delayed() uint64 { return c.limits.delayed.Load() }
