package retry

import (
	"math/rand/v2"
	"time"
)

const (
	MinBackoff, maxBackoff = time.Second, time.Minute
	// A place for a stranger is taken for only a few round trips.
	minNoPlace = 250 * time.Millisecond
)

// Backoff makes the pauses between attempts: full jitter below a limit that doubles, so that a thousand nodes
// that lost their server come back spread out.
type Backoff struct{ limit time.Duration }

// Next returns the next pause.
func (b *Backoff) Next() time.Duration { return b.from(MinBackoff) }

// NoPlace is the pause before a server that had no place is tried again: it doubles like others, but begins
// shorter.
func (b *Backoff) NoPlace() time.Duration { return b.from(minNoPlace) }

func (b *Backoff) from(least time.Duration) time.Duration {
	b.limit = min(max(2*b.limit, least), maxBackoff)
	return rand.N(b.limit)
}

// Reset makes the next pause short again.
func (b *Backoff) Reset() { b.limit = 0 }

// Slow is the pause when trying soon is pointless because a person must do something first.
func (b *Backoff) Slow() time.Duration {
	b.limit = maxBackoff
	return maxBackoff/2 + rand.N(maxBackoff/2)
}
