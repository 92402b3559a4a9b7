package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

// serverName is the file of the server that the node has joined.
const serverName = "server"

// If each Welcome of a server says something new, there is one write every storeEvery, after a burst: a
// server must not wear out a memory card. A change of key needs two writes.
const (
	storeEvery = 10 * time.Minute
	storeBurst = 16
)

// membership is what the node knows about its server, and how it may be admitted.
type membership struct {
	path   string
	stored certs.KnownServer // as in the file; zero: there is none
	known  certs.KnownServer // as it is
	secret []byte            // may have to be shown; nil: none
	member bool              // the server has admitted this node before
	writes *rate.Limiter

	mu        sync.Mutex
	forgotten bool // and not to be stored again
}

// findServer reconciles the server in the settings with the one that was joined, which it puts into the
// settings if they have none.
func findServer(config *settings.Node) (*membership, error) {
	if config.DataDir == "" {
		return &membership{}, nil // Validate reports that
	}
	// Whoever can write the directory decides which server the node trusts.
	if err := certs.CheckDataDir(config.DataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := &membership{
		path:   filepath.Join(config.DataDir, serverName),
		writes: rate.NewLimiter(rate.Every(storeEvery), storeBurst),
	}
	var err error
	if m.stored, err = certs.LoadKnownServer(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	given := config.Server
	switch {
	case given.Server.IsZero():
		m.known, m.member = m.stored, true
		config.Server = m.stored.Invitation
	case m.stored.Is(given.Server): // perhaps by a former id
		m.known = m.stored
		m.known.Invitation.Host, m.known.Invitation.Port = given.Host, given.Port
		if m.member = m.stored.Spent(given.Secret); !m.member {
			m.secret = given.Secret
		}
	default:
		m.known.Invitation, m.secret = given, given.Secret
		m.known.Invitation.Secret = nil
	}
	return m, nil
}

// replaces reports whether the server differs from the one in the file, which it replaces once it admits the
// node.
func (m *membership) replaces() bool {
	id, stored := m.known.Invitation.Server, m.stored
	return !stored.Invitation.Server.IsZero() && !stored.Is(id) && id != stored.Next
}

// configure tells the node of its server.
func (m *membership) configure(c *node.Config) {
	c.Server, c.Next = m.known.Invitation.Server, m.known.Next
	c.Address = m.known.Invitation.Address()
	c.JoinSecret, c.Known = m.secret, m.member
}

// welcomed stores what has changed, now or with a later Welcome.
func (m *membership) welcomed(w node.Welcome) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forgotten {
		return nil
	}
	if err := m.known.Follow(w.Server, w.Next); err != nil {
		return err
	}
	m.known.Spend(m.secret)
	if m.known.Equal(m.stored) || !m.writes.Allow() {
		return nil
	}
	if err := m.known.Save(m.path); err != nil {
		return err
	}
	m.stored = m.known
	return nil
}

// forget removes what the data directory has of the server: which it is, and what it said that names mean.
func (m *membership) forget(dataDir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range []string{m.path, filepath.Join(dataDir, knownNodesName)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forgetting the server: %w", err)
		}
	}
	m.forgotten = true
	return nil
}

// advise tells the owner what is special about joining this server.
func (m *membership) advise(log *slog.Logger) {
	if !m.member && len(m.secret) == 0 {
		log.Info("the invitation has no secret after a #: the server must know this node, or admit every node")
	}
	if m.replaces() {
		log.Warn("another server will replace the one that was joined once it admits the node", "joined", m.stored.Invitation.Address())
	}
}
