package carrier

import "time"

const (
	// MaxLanes bounds the lanes of a session, beside its primary connection.
	MaxLanes = 15
	// LongRelay is how long a relay may go on that began as its lane was given up.
	LongRelay = 24 * time.Hour
)
