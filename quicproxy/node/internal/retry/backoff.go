package retry

import (
	"math/rand/v2"
	"time"
)

const (
	MinBackoff, maxBackoff = time.Second, time.Minute
	// A place for a stranger is taken for a few round trips only.
	minNoPlace = 250 * time.Millisecond
)

// Backoff makes the pauses between attempts: full jitter below a limit that doubles. A thousand nodes that
// lost their server come back spread out.
type Backoff struct{ limit time.Duration }

func (b *Backoff) Next() time.Duration { return b.from(MinBackoff) }

// NoPlace is the pause before a server is asked again that had no place: it doubles as others do, but begins shorter.
func (b *Backoff) NoPlace() time.Duration { return b.from(minNoPlace) }

func (b *Backoff) from(least time.Duration) time.Duration {
	b.limit = min(max(2*b.limit, least), maxBackoff)
	return rand.N(b.limit)
}

func (b *Backoff) Reset() { b.limit = 0 }

// Slow is the pause when trying soon is of no use, because a person must do something first.
func (b *Backoff) Slow() time.Duration {
	b.limit = maxBackoff
	return maxBackoff/2 + rand.N(maxBackoff/2)
}
