package server

import (
	"time"
)

// How long nodes must wait before they ask again (Failure.retry_after_milliseconds).
const (
	joinRetry = time.Minute     // too many nodes are joining
	portRetry = 5 * time.Second // how often package lease retries a port that another program has
	busyRetry = time.Second
)
