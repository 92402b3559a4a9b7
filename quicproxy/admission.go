package quicproxy

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
)

// ErrNotAuthorized is returned by an Admitter for a node that may not use the server.
var ErrNotAuthorized = errors.New("this node is not authorized")

// Admitter decides which nodes may use a server.
type Admitter interface {
	// Admit returns nil if the node may use the server; joined says that its join secret let it in just
	// now. An error that is not ErrNotAuthorized means that nobody could be asked.
	Admit(node certs.NodeID, joinSecret []byte) (joined bool, err error)
}

// errWrongSecret refuses a node that showed a join secret, but not the server's.
var errWrongSecret = fmt.Errorf("%w: its join secret is not the server's", ErrNotAuthorized)

// NewAdmission admits the nodes in a file of authorized nodes, and writes those into it that show the join
// secret. The secret is asked for each time, so that a new one counts at once. Bad lines of the file lock
// nobody else out; log is told of them.
func NewAdmission(nodes *certs.AuthorizedNodes, secret func() ([]byte, error), log *slog.Logger) Admitter {
	return &admission{nodes: nodes, secret: secret, log: log}
}

type admission struct {
	nodes  *certs.AuthorizedNodes
	secret func() ([]byte, error)
	log    *slog.Logger

	mu        sync.Mutex
	complaint string // what was logged last of the file
}

func (a *admission) Admit(node certs.NodeID, joinSecret []byte) (joined bool, err error) {
	known, err := a.nodes.Contains(node)
	a.complain(err)
	if known {
		return false, nil
	}
	if len(joinSecret) == 0 {
		return false, ErrNotAuthorized
	}
	secret, err := a.secret()
	if err != nil {
		return false, fmt.Errorf("reading the join secret: %w", err)
	}
	if len(secret) == 0 || subtle.ConstantTimeCompare(secret, joinSecret) != 1 {
		return false, errWrongSecret
	}
	if err := a.nodes.Add(node, "joined "+time.Now().UTC().Format(time.RFC3339)); err != nil {
		return false, fmt.Errorf("authorizing the node: %w", err)
	}
	return true, nil
}

// complain logs what is wrong with the file, once.
func (a *admission) complain(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.complaint = ""
	} else if text := err.Error(); text != a.complaint {
		a.complaint = text
		a.log.Error("the list of authorized nodes has mistakes", "err", err)
	}
}

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

// authorize asks whether a node may use the server.
func (s *Server) authorize(node certs.NodeID, secret []byte) (joined bool, err error) {
	if s.config.Admit == nil {
		return false, nil
	}
	return s.config.Admit.Admit(node, secret)
}

// stranger tells the operator of a refused node, with the line that would let it in, and returns what the node is told.
func (s *Server) stranger(c *nodeConn, err error) error {
	if !errors.Is(err, ErrNotAuthorized) {
		c.log.Error("a node could not be checked", "err", err)
	} else if s.strangers.first(c.node) {
		s.log.Warn("node refused: "+err.Error()+"; to allow it, add its id as a line to authorized_nodes",
			"line", c.node.String(), "from", c.quic.RemoteAddr().String())
	}
	return notAuthorized(c.node, err)
}
