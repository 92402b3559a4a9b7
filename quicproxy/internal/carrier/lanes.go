package carrier

import "time"

const (
	// MaxLanes bounds the lanes of a session, beside its primary connection.
	MaxLanes = 15
	// LongRelay is how long a relay may go on that began just as its lane was retired.
	LongRelay = 24 * time.Hour
)
