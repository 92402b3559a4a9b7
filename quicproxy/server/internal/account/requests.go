package account

import (
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/internal/limit"
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

	// connectEvery and connectBurst are for connects to private services, which write nothing: each costs a
	// stream and a handshake of another node.
	connectEvery = time.Second / 10
	connectBurst = 100
)

// Requests limits the requests of a node.
type Requests struct {
	bucket *rate.Limiter
	every  time.Duration
}

// newRequests limits those that make a server write to its store, for a node that may have that many services.
func newRequests(services int) *Requests {
	return &Requests{rate.NewLimiter(rate.Every(requestEvery), RequestBurst(services)), requestEvery}
}

// SetServices limits those of a node that may have that many services.
func (r *Requests) SetServices(services int) { r.bucket.SetBurst(RequestBurst(services)) }

func newConnects() *Requests {
	return &Requests{rate.NewLimiter(rate.Every(connectEvery), connectBurst), connectEvery}
}

// NewGuestRequests limits the same for all unknown nodes of a network, which may have that many services
// together, so that many keys are no advantage. It knows max networks at a time.
func NewGuestRequests(services, max int) *limit.NetworkRates {
	return limit.NewNetworkRates(requestEvery, RequestBurst(services), max)
}

// RequestBurst is how many requests a node with that many services may make at once.
func RequestBurst(services int) int { return max(requestBurst, servicesBurst*services) }

// Ask returns 0 if a request may be fulfilled, or how long until the next one may.
func (r *Requests) Ask(now time.Time) (wait time.Duration) {
	if r.bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - r.bucket.TokensAt(now)
	return max(time.Duration(missing*float64(r.every)), time.Millisecond)
}
