package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates is a token bucket for each key, such as an address, of a bounded number of keys.
type Rates[K comparable] struct {
	limit rate.Limit
	burst int
	max   int // keys

	mu      sync.Mutex
	buckets map[K]*rate.Limiter
}

// NewRates allows each key burst events at once and one more in every, of max keys at a time.
func NewRates[K comparable](every time.Duration, burst, max int) *Rates[K] {
	return &Rates[K]{limit: rate.Every(every), burst: burst, max: max, buckets: make(map[K]*rate.Limiter)}
}

// Allow reports whether key may do it once more now. While max keys are in use no other one may.
func (r *Rates[K]) Allow(key K, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	bucket := r.buckets[key]
	if bucket == nil {
		if len(r.buckets) >= r.max {
			r.forgetFullLocked(now)
		}
		if len(r.buckets) >= r.max {
			return false
		}
		bucket = rate.NewLimiter(r.limit, r.burst)
		r.buckets[key] = bucket
	}
	return bucket.AllowN(now, 1)
}

// forgetFullLocked drops the keys that have their whole burst again.
func (r *Rates[K]) forgetFullLocked(now time.Time) {
	for key, bucket := range r.buckets {
		if bucket.TokensAt(now) >= float64(r.burst) {
			delete(r.buckets, key)
		}
	}
}
