package quicproxy

import (
	"errors"
	"math/rand/v2"
	"time"
)

// How long the server has nodes wait before they ask again (Failure.retry_after_milliseconds).
const (
	personRetry = 30 * time.Second // a person must do something first
	portRetry   = 5 * time.Second  // package lease tries a port that another program has so often
	busyRetry   = time.Second

	// maxRetryAfter bounds what a server may say: one that is hostile, or wrong, does not silence a node for ever.
	maxRetryAfter = 10 * time.Minute
	// restartPause is the most that a node waits to connect anew to a server that restarts: its nodes come spread out.
	restartPause = 250 * time.Millisecond
)

func boundedRetry(milliseconds uint64) time.Duration {
	return time.Duration(min(milliseconds, uint64(maxRetryAfter/time.Millisecond))) * time.Millisecond
}

// retryAfter is how long to wait before what failed with err is tried again, a little more than the other side says:
// nodes that were refused together come spread out. 0: it says nothing.
func retryAfter(err error) time.Duration {
	failure, ok := errors.AsType[*FailureError](err)
	if !ok || failure.RetryAfter <= 0 {
		return 0
	}
	return failure.RetryAfter + rand.N(failure.RetryAfter/4+1)
}
