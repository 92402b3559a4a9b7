package conn

import "time"

const (
	// PersonRetry is how long a node waits before it asks again if a person must do something first.
	PersonRetry = 30 * time.Second
	// maxRetryAfter bounds what a server may request: one that is hostile, or wrong, must not silence a node
	// for ever.
	maxRetryAfter = 10 * time.Minute
)

func boundedRetry(milliseconds uint64) time.Duration {
	return time.Duration(min(milliseconds, uint64(maxRetryAfter/time.Millisecond))) * time.Millisecond
}
