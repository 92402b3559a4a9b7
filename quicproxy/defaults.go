package quicproxy

import "time"

// Defaults that servers and nodes share.
const (
	DefaultIdleTimeout = 90 * time.Second
	DefaultDrain       = 10 * time.Second
	DefaultResumeTime  = 5 * time.Minute
	DefaultFlowIdle    = time.Minute
)
