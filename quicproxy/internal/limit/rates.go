package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/internal/netaddr"
)

// Rates is a token bucket per key, such as an address, for a bounded number of keys.
type Rates[K comparable] struct {
	every time.Duration
	max   int // keys

	mu      sync.Mutex
	burst   int
	buckets map[K]*rate.Limiter
	swept   time.Time // when full buckets were last looked for
}

// NewRates allows each key burst events at once and one more per every, for max keys at a time.
func NewRates[K comparable](every time.Duration, burst, max int) *Rates[K] {
	return &Rates[K]{every: every, burst: burst, max: max, buckets: make(map[K]*rate.Limiter)}
}

// SetBurst allows each key that many events at once.
func (r *Rates[K]) SetBurst(burst int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.burst = burst
	for _, bucket := range r.buckets {
		times := float64(bucket.Limit()) / float64(rate.Every(r.every))
		bucket.SetBurst(int(times * float64(burst)))
	}
}

// Allow reports whether key may do it once more now. While max keys are in use, no other key may.
func (r *Rates[K]) Allow(key K, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	bucket := r.bucketLocked(key, 1, now)
	return bucket != nil && bucket.AllowN(now, 1)
}

// bucketLocked returns the bucket of a key, which has times the rate and burst of others; nil: there is no
// room.
func (r *Rates[K]) bucketLocked(key K, times float64, now time.Time) *rate.Limiter {
	bucket := r.buckets[key]
	if bucket == nil {
		if len(r.buckets) >= r.max {
			r.forgetFullLocked(now)
		}
		if len(r.buckets) >= r.max {
			return nil
		}
		bucket = rate.NewLimiter(rate.Limit(times)*rate.Every(r.every), int(times*float64(r.burst)))
		r.buckets[key] = bucket
	}
	return bucket
}

// forgetFullLocked drops the keys that have their whole burst again. It looks at all of them, so it is not
// done each time.
func (r *Rates[K]) forgetFullLocked(now time.Time) {
	if now.Sub(r.swept) < r.every {
		return
	}
	r.swept = now
	for key, bucket := range r.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(r.buckets, key)
		}
	}
}

// NetworkRates are rates of addresses and of their networks: whoever has one address has others.
type NetworkRates struct{ rates *Rates[netip.Prefix] }

// SetBurst allows each that many events at once.
func (n *NetworkRates) SetBurst(burst int) { n.rates.SetBurst(burst) }

// NewNetworkRates allows each address, or /64, burst events at once and one more per every; a /56 half as
// many again, a /48 twice as many, and an IPv4 /24 a quarter more. It knows max networks at a time.
func NewNetworkRates(every time.Duration, burst, max int) *NetworkRates {
	return &NetworkRates{NewRates[netip.Prefix](every, burst, max)}
}

// Ask returns 0 if an address may do it once more now, or how long until it may. A refused address does not
// use up what its neighbours have.
func (r *NetworkRates) Ask(address netip.Addr, now time.Time) (wait time.Duration) {
	r.rates.mu.Lock()
	defer r.rates.mu.Unlock()
	networks := netaddr.Networks(address)
	buckets := make([]*rate.Limiter, len(networks))
	for i, n := range networks {
		times := float64(n.Part) / float64(networks[0].Part)
		if buckets[i] = r.rates.bucketLocked(n.Prefix, times, now); buckets[i] == nil {
			return r.rates.every
		}
		if missing := 1 - buckets[i].TokensAt(now); missing > 0 {
			wait = max(wait, time.Duration(missing*float64(r.rates.every)/times), time.Millisecond)
		}
	}
	if wait == 0 {
		for _, bucket := range buckets {
			bucket.AllowN(now, 1)
		}
	}
	return wait
}
