package retry

import (
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/node/internal/reason"
)

const (
	// A connection that lasted so long was no failure: the next attempt after it comes soon.
	lasting = 10 * time.Second
	// For so long after a loss, attempts are short and follow each other, so that a server that comes back is
	// found within two seconds. Then they become rarer: traffic may cost money.
	eager = 2 * time.Minute
	// A server that restarted soon after a connection was made is tried again at once, so often.
	quickEvery, quickBurst = time.Minute, 4
	// restartPause is the longest wait before a node reconnects to a server that restarts, so that nodes come
	// spread out.
	restartPause = 250 * time.Millisecond
)

// Reconnects says how long to wait before each attempt to connect. Only one goroutine may use it.
type Reconnects struct {
	Backoff
	// Slow says that the pause is long because a person must do something first.
	Slow bool

	lost  time.Time     // when the last lasting connection ended; zero: there was none
	quick *rate.Limiter // attempts without a pause after short connections
}

// NewReconnects returns Reconnects before the first attempt.
func NewReconnects() *Reconnects {
	return &Reconnects{quick: rate.NewLimiter(rate.Every(quickEvery), quickBurst)}
}

// Ended notes the end of a connection that was made at since, and returns the pause before the next one; the server may
// have said that it restarts. Only a lasting connection shows that the server works: others are failures, however they
// began.
func (r *Reconnects) Ended(since time.Time, err error, restarts bool) (pause time.Duration) {
	lasted := time.Since(since) > lasting
	if lasted {
		r.Reset()
		r.lost = time.Now()
	}
	pause = r.After(err, lasted || reason.IsRestart(err) && r.quick.Allow())
	if lasted && conn.IsShutdown(err) && restarts {
		pause = rand.N(restartPause)
	}
	return pause
}

// Eager reports whether attempts should be short and follow each other; wait: relays wait for a connection.
func (r *Reconnects) Eager(wait bool) bool {
	return !r.lost.IsZero() && (wait || time.Since(r.lost) < eager)
}

// After returns the pause after a failure; a short one if soon, unless a person or the server has to do something
// first.
func (r *Reconnects) After(err error, soon bool) time.Duration {
	r.Slow = reason.IsReplaced(err)
	if after := After(err); after > 0 {
		r.Slow = true // a change of this machine's network does not help
		return max(after, r.Next())
	}
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		switch failure.Code {
		case framing.ErrorNotAuthorized, framing.ErrorBusy:
			r.Slow = true
		}
	}
	switch {
	case r.Slow:
		return r.Backoff.Slow()
	case soon:
		return rand.N(MinBackoff)
	}
	return r.Next()
}
