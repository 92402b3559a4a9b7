package quicproxy

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Whoever is refused tries again and again; the log tells of it once in this time.
	tellAgain   = 10 * time.Minute
	maxRecently = 1024
)

// recently remembers for a while what was told, of a bounded number of things.
type recently[K comparable] struct {
	all *rate.Limiter // keys cost nothing: whoever makes a new one each time cannot fill the log

	mu   sync.Mutex
	seen map[K]time.Time
}

func newRecently[K comparable]() *recently[K] {
	return &recently[K]{all: rate.NewLimiter(rate.Every(10*time.Second), 64), seen: make(map[K]time.Time)}
}

// first reports whether key was not seen lately and may be told of, and remembers it.
func (r *recently[K]) first(key K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if at, ok := r.seen[key]; ok && now.Sub(at) < tellAgain {
		return false
	}
	if len(r.seen) >= maxRecently {
		clear(r.seen)
	}
	r.seen[key] = now
	return r.all.Allow()
}

// stranger tells the operator of a refused node, with the command that would let it in, and returns what the node is
// told.
func (s *Server) stranger(c *nodeConn, err error) error {
	unauthorized := errors.Is(err, ErrNotAuthorized)
	switch {
	case errors.Is(err, ErrTooManyJoins), !unauthorized && c.quic.Context().Err() != nil: // which is why
		c.log.Debug("node refused", "err", err)
	case !s.strangers.first(c.node):
	case unauthorized:
		s.log.Warn("node refused: "+err.Error()+"; to allow it, use the command",
			"command", "apquic-server allow "+c.node.String(), "from", c.quic.RemoteAddr().String())
	default:
		c.log.Error("a node could not be checked", "err", err)
	}
	return notAuthorized(c.node, err)
}
