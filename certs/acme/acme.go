// Package acme gets certificates for domains from an authority such as Let's Encrypt (ACME, RFC 8555), and renews
// them. The authority checks a domain by a TLS connection to it (tls-alpn-01, RFC 8737), which the same
// GetCertificate answers.
//
// It is for programs: the tunnel's packages must not link it. It must not let a client cause an order.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Protocol is the protocol of ALPN with which the authority connects.
const Protocol = acme.ALPNProto

const (
	// orderTimeout bounds an order. After a failure the pauses double: authorities allow few failures an hour.
	orderTimeout       = 5 * time.Minute
	minPause, maxPause = 2 * time.Minute, 2 * time.Hour
	// lookEvery is how often certificates are checked; autocert renews them when a third of their time is left.
	lookEvery = time.Hour
	// tooOld is how much of its time a certificate has left when its renewal is overdue.
	tooOld = 5
)

var errNoCertificate = errors.New("there is no certificate yet")

// Config says what Certificates consist of.
type Config struct {
	// Directory is the URL of the authority; Let's Encrypt if empty.
	Directory string
	// Folder keeps the account's key, and certificates with their keys. Only its owner can read them.
	Folder string
	// Client connects to the authority; http.DefaultClient if nil.
	Client *http.Client
	Log    *slog.Logger
}

// Certificates are those of the domains that were wanted.
type Certificates struct {
	manager autocert.Manager
	log     *slog.Logger
	wake    chan struct{} // has room for one: another domain is wanted

	mu     sync.Mutex
	wanted map[string]*state
}

// state is what is known of a domain.
type state struct {
	ready bool          // there is a certificate, which clients may get
	next  time.Time     // when to look again
	pause time.Duration // after the last failure
}

// New makes Certificates without any domain. Nothing is read or asked before Run.
func New(config Config) *Certificates {
	c := &Certificates{log: config.Log, wake: make(chan struct{}, 1), wanted: make(map[string]*state)}
	c.manager = autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(filepath.Clean(config.Folder)),
		Client:     &acme.Client{DirectoryURL: cmp.Or(config.Directory, autocert.DefaultACMEDirectory), HTTPClient: config.Client, UserAgent: "apquic"},
		HostPolicy: c.isWanted,
	}
	return c
}

// Want has a domain get a certificate. The domain must lead to GetCertificate from now on.
func (c *Certificates) Want(domain string) {
	c.mu.Lock()
	if c.wanted[domain] == nil {
		c.wanted[domain] = new(state)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Certificates) isWanted(_ context.Context, domain string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted[domain] == nil {
		return fmt.Errorf("%s is not one of the domains here", domain)
	}
	return nil
}

// GetCertificate answers the authority's check, and gives clients the certificate of a domain. It never causes an
// order: clients must not exhaust what the authority allows.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	c.mu.Lock()
	known := c.wanted[name]
	ready := known != nil && known.ready
	c.mu.Unlock()
	switch {
	case known == nil:
		return nil, fmt.Errorf("%.255q is not one of the domains here", name)
	case slices.Equal(hello.SupportedProtos, []string{Protocol}):
		return c.manager.GetCertificate(hello)
	case !ready:
		return nil, errNoCertificate
	}
	return c.certificate(name)
}

// certificate returns the certificate of a domain; if there is none it orders one.
func (c *Certificates) certificate(domain string) (*tls.Certificate, error) {
	// Whatever the client has: autocert would order a second certificate for one without ECDSA.
	return c.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// Run gets certificates and keeps them, until ctx ends. An order that runs then is given up by the process.
func (c *Certificates) Run(ctx context.Context) {
	for ctx.Err() == nil {
		domain, next := c.due(time.Now())
		if domain != "" {
			c.tend(ctx, domain)
			continue
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-c.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// due returns a domain to look at now, or when to look again.
func (c *Certificates) due(now time.Time) (domain string, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = now.Add(lookEvery)
	for name, s := range c.wanted {
		if !s.next.After(now) {
			return name, now
		}
		if s.next.Before(next) {
			next = s.next
		}
	}
	return "", next
}

// tend gets the certificate of a domain if there is none, and notes when to look again.
func (c *Certificates) tend(ctx context.Context, domain string) {
	certificate, err := c.order(ctx, domain)
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	s := c.wanted[domain]
	was := s.ready
	if err == nil {
		s.ready, s.pause, s.next = true, 0, time.Now().Add(lookEvery)
	} else {
		s.pause = min(max(2*s.pause, minPause), maxPause)
		s.next = time.Now().Add(s.pause)
	}
	pause := s.pause
	c.mu.Unlock()
	switch {
	case err != nil:
		c.log.Warn("no certificate yet, trying again", "domain", domain, "in", pause, "err", err,
			"hint", "the name must point to the server, whose port 443 must be open: the authority connects to it")
	case !was:
		c.log.Info("the domain has a certificate", "domain", domain, "until", certificate.Leaf.NotAfter.UTC().Format(time.DateOnly))
	case overdue(certificate, time.Now()):
		c.log.Warn("the certificate was not renewed and ends soon", "domain", domain, "until", certificate.Leaf.NotAfter.UTC().Format(time.DateTime),
			"hint", "the name must still point to the server, whose port 443 must be open: the authority connects to it")
	}
}

// order is certificate, which has no context and may take minutes.
func (c *Certificates) order(ctx context.Context, domain string) (*tls.Certificate, error) {
	type outcome struct {
		certificate *tls.Certificate
		err         error
	}
	done := make(chan outcome, 1)
	go func() {
		certificate, err := c.certificate(domain) // ends after orderTimeout at the latest
		done <- outcome{certificate, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	select {
	case o := <-done:
		return o.certificate, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// overdue reports whether the renewal of a certificate has failed for long.
func overdue(certificate *tls.Certificate, now time.Time) bool {
	leaf := certificate.Leaf
	return leaf != nil && leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/tooOld
}
