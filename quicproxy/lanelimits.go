package quicproxy

import "time"

const (
	// maxLanes bounds the lanes of a session, beside its primary connection.
	maxLanes = 15
	// longRelay is how long a relay may go on that began as its lane was given up.
	longRelay = 24 * time.Hour
)
