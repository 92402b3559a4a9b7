package limit

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// RequestsPerMinute is how many requests a node may make in the long run, after a burst of at least
	// requestBurst.
	RequestsPerMinute = 60

	requestEvery = time.Minute / RequestsPerMinute
	requestBurst = 32
	// servicesBurst is how many requests at once a node may make for each of its services: it asks for all of
	// them when it connects, and it may connect twice.
	servicesBurst = 2

	// Each message costs a signature check. A node in trouble sends a few a second.
	messageRate, messageBurst = 50, 500 // per second
	// Progress comes with each MiB and may be large, so there is more of it, and each progressSize counts.
	progressRate, progressBurst = 1000, 4000
	progressSize                = 1 << 10 // bytes
)

// Requests limits requests that make a server write to its store.
type Requests struct{ bucket *rate.Limiter }

// NewRequests is for a node that may have that many services.
func NewRequests(services int) *Requests {
	return &Requests{rate.NewLimiter(rate.Every(requestEvery), RequestBurst(services))}
}

// NewGuestRequests limits the same for all unknown nodes of a network, which may have that many services
// together, so that many keys are no advantage. It knows max networks at a time.
func NewGuestRequests(services, max int) *NetworkRates {
	return NewNetworkRates(requestEvery, RequestBurst(services), max)
}

// RequestBurst is how many requests a node with that many services may make at once.
func RequestBurst(services int) int { return max(requestBurst, servicesBurst*services) }

// Ask returns 0 if a request may be fulfilled, or how long until the next one may.
func (r *Requests) Ask(now time.Time) (wait time.Duration) {
	if r.bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - r.bucket.TokensAt(now)
	return max(time.Duration(missing*float64(requestEvery)), time.Millisecond)
}

// Messages limits what a peer can make us read, verify and answer.
type Messages struct{ all, progress *rate.Limiter }

// NewMessages is for one peer, over all its connections.
func NewMessages() *Messages {
	return &Messages{all: rate.NewLimiter(messageRate, messageBurst), progress: rate.NewLimiter(progressRate, progressBurst)}
}

// Came counts a message of size bytes and returns how long not to read another one.
func (m *Messages) Came(now time.Time, size int, progress bool) (wait time.Duration) {
	bucket, n := m.all, 1
	if progress {
		bucket, n = m.progress, min(1+size/progressSize, progressBurst)
	}
	return bucket.ReserveN(now, n).DelayFrom(now)
}
