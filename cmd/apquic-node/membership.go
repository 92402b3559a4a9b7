package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

// serverName is the file of the server that the node has joined.
const serverName = "server"

// A server that says something else in each Welcome gets one write in storeEvery, after a burst: it must not wear out a
// memory card. A server that changes its key needs two.
const (
	storeEvery = 10 * time.Minute
	storeBurst = 16
)

// membership is what the node knows of its server, and how it may get in.
type membership struct {
	path   string
	stored certs.KnownServer // as it stands in the file; zero: there is none
	known  certs.KnownServer // as it is
	secret []byte            // that may have to be shown; nil: none
	member bool              // the server has admitted this node before
	writes *rate.Limiter
}

// findServer makes one of the server in the settings and the one that was joined. Without one in the settings, they
// get the other.
func findServer(config *settings.Node) (*membership, error) {
	if config.DataDir == "" {
		return &membership{}, nil // which is a mistake of its own
	}
	// Whoever may write the directory decides which server the node believes.
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
	case m.stored.Is(given.Server): // perhaps by an id that it had when it invited
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

// replaces reports whether the server is another one than that in the file, whose place it takes once it admits the node.
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
