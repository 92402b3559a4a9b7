package limit

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// RequestsPerMinute is how many requests a node may make in the long run, after a burst of at least requestBurst.
	RequestsPerMinute = 60

	requestEvery = time.Minute / RequestsPerMinute
	requestBurst = 32
	// servicesBurst is how many requests at once a node may have for each of its services: it asks for all of them
	// when it connects, and it may connect twice.
	servicesBurst = 2

	// A peer's messages cost a signature each. A node in trouble sends a few in a second.
	messageRate, messageBurst = 50, 500 // per second
	// Progress comes with each MiB, so there is more of it, also in one message: it counts for each progressSize.
	progressRate, progressBurst = 1000, 4000
	progressSize                = 1 << 10 // bytes
)

// Requests bounds what makes a server write into its store.
type Requests struct{ bucket *rate.Limiter }

// NewRequests is for a node that may have so many services.
func NewRequests(services int) *Requests {
	return &Requests{rate.NewLimiter(rate.Every(requestEvery), RequestBurst(services))}
}

// NewGuestRequests bounds the same for all nodes of a network that nobody knows, whose nodes may have so many services
// together: it is of no use to have many keys. It knows max networks at a time.
func NewGuestRequests(services, max int) *NetworkRates {
	return NewNetworkRates(requestEvery, RequestBurst(services), max)
}

// RequestBurst is how many requests a node with so many services may make at once.
func RequestBurst(services int) int { return max(requestBurst, servicesBurst*services) }

// Ask returns 0 if a request may be fulfilled, or after how long the next one may.
func (r *Requests) Ask(now time.Time) (wait time.Duration) {
	if r.bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - r.bucket.TokensAt(now)
	return max(time.Duration(missing*float64(requestEvery)), time.Millisecond)
}

// Messages bounds what a peer may have us read, verify and answer.
type Messages struct{ all, progress *rate.Limiter }

// NewMessages is for one peer, over all its connections.
func NewMessages() *Messages {
	return &Messages{all: rate.NewLimiter(messageRate, messageBurst), progress: rate.NewLimiter(progressRate, progressBurst)}
}

// Came counts a message of so many bytes and returns for how long no other one should be read.
func (m *Messages) Came(now time.Time, size int, progress bool) (wait time.Duration) {
	bucket, n := m.all, 1
	if progress {
		bucket, n = m.progress, min(1+size/progressSize, progressBurst)
	}
	return bucket.ReserveN(now, n).DelayFrom(now)
}
