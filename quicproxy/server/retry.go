package server

import (
	"time"
)

// How long the server has nodes wait before they ask again (Failure.retry_after_milliseconds).
const (
	joinRetry = time.Minute     // too many nodes joined just now
	portRetry = 5 * time.Second // package lease tries a port that another program has so often
	busyRetry = time.Second
)
