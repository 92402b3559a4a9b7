package limit

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// Each message costs a signature check. A node in trouble sends a few a second.
	messageRate, messageBurst = 50, 500 // per second
	// Progress comes with each MiB and may be large, so there is more of it, and each progressSize counts.
	progressRate, progressBurst = 1000, 4000
	progressSize                = 1 << 10 // bytes
)

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
