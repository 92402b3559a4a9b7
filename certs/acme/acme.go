// Package acme gets certificates for domains from an authority such as Let's Encrypt (ACME, RFC 8555), and renews
// them. The authority checks a domain by a TLS connection to it (tls-alpn-01, RFC 8737), which GetCertificate answers,
// or, where the program has a port for that, by a request without TLS (http-01), which Challenge answers.
//
// It is for programs: the tunnel's packages must not link it. It must not let a client cause an order, or an owner of
// domains more of them than Limits allow.
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
	orderTimeout       = 2 * time.Minute
	minPause, maxPause = 2 * time.Minute, 2 * time.Hour
	// lookEvery is how often certificates are checked. They are renewed when a third of their time is left.
	lookEvery  = time.Hour
	renewShare = 3
	// tooOld is how much of its time a certificate has left when its renewal is overdue.
	tooOld = 5
	// maxOrders bounds the orders at once, of which an owner has one.
	maxOrders = 4
	// maxForgotten is how many domains that nobody has any longer are remembered, with their pauses.
	maxForgotten = 1 << 12
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
	// HTTP says that the authority reaches Challenge, too.
	HTTP bool
	// Elsewhere reports whether clients get the certificate of a domain from elsewhere at present, so that none is
	// ordered; nil: they do not.
	Elsewhere func(domain string) bool
	// Limits bound the orders that owners of domains cause; none if zero.
	Limits Limits
	Log    *slog.Logger
}

// Certificates are those of the domains that were wanted.
type Certificates struct {
	cache   autocert.DirCache
	account *account
	limits  *limiter
	other   func(domain string) bool // see Config.Elsewhere
	log     *slog.Logger
	wake    chan struct{} // has room for one: something is due
	running sync.WaitGroup

	mu      sync.Mutex
	domains map[string]*state
	unread  []string        // domains that are wanted anew
	busy    map[string]bool // owners with an order
}

// state is what is known of a domain.
type state struct {
	owner       string
	wanted      bool
	read        bool             // what the folder has for it
	looking     bool             // its turn is now
	certificate *tls.Certificate // which clients get; nil: none yet
	next        time.Time        // when to look again
	pause       time.Duration    // after the last failure
}

// New makes Certificates without any domain. Nothing is read or asked before Run.
func New(config Config) *Certificates {
	cache := autocert.DirCache(filepath.Clean(config.Folder))
	if config.Elsewhere == nil {
		config.Elsewhere = func(string) bool { return false }
	}
	return &Certificates{
		cache: cache, log: config.Log, other: config.Elsewhere, limits: newLimiter(config.Limits), wake: make(chan struct{}, 1),
		domains: make(map[string]*state), busy: make(map[string]bool),
		account: newAccount(&acme.Client{
			DirectoryURL: cmp.Or(config.Directory, autocert.DefaultACMEDirectory), HTTPClient: config.Client, UserAgent: "apquic",
		}, config.HTTP),
	}
}

// Want has a domain get a certificate, until Forget. The domain must lead to GetCertificate from now on. The owner is
// whose limits count, or empty if nobody else chooses domains.
func (c *Certificates) Want(domain, owner string) {
	c.mu.Lock()
	s := c.domains[domain]
	if s == nil {
		s = new(state)
		c.domains[domain] = s
	}
	if !s.wanted {
		c.unread = append(c.unread, domain)
	}
	s.owner, s.wanted = owner, true
	c.mu.Unlock()
	c.signal()
}

// Forget ends what Want with the same owner began. The certificate stays in the folder, until a while after it has ended.
func (c *Certificates) Forget(domain, owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.domains[domain]; s != nil && s.owner == owner {
		s.wanted, s.read, s.certificate = false, false, nil
	}
	if len(c.domains) <= maxForgotten {
		return
	}
	for name, s := range c.domains {
		if !s.wanted && !s.looking {
			delete(c.domains, name)
		}
	}
}

func (c *Certificates) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// GetCertificate answers the authority's check, and gives clients the certificate of a domain. It never causes an
// order: clients must not exhaust what the authority allows. Whatever a client has, it gets an ECDSA certificate.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.domains[name]
	switch {
	case s == nil || !s.wanted:
		return nil, fmt.Errorf("%.255q is not one of the domains here", name)
	case slices.Equal(hello.SupportedProtos, []string{Protocol}):
		return c.account.proof(name)
	case s.certificate == nil:
		return nil, errNoCertificate
	}
	return s.certificate, nil
}

// Challenge answers the authority's request for a path of a domain; ok: that is one which it was asked for.
func (c *Certificates) Challenge(domain, path string) (answer []byte, ok bool) {
	return c.account.response(domain, path)
}

// Run gets certificates and keeps them, until ctx ends.
func (c *Certificates) Run(ctx context.Context) {
	defer c.running.Wait()
	var swept time.Time
	for ctx.Err() == nil {
		c.readAll(ctx)
		if now := time.Now(); now.Sub(swept) >= sweepEvery {
			swept = now
			c.running.Go(func() { c.sweep(ctx, now) })
		}
		domain, owner, next := c.due(time.Now())
		if domain != "" {
			c.running.Go(func() {
				c.tend(ctx, domain, owner)
				c.done(domain, owner)
			})
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

// readAll has clients get the certificates of former orders, whatever other orders are on their way.
func (c *Certificates) readAll(ctx context.Context) {
	c.mu.Lock()
	unread := c.unread
	c.unread = nil
	c.mu.Unlock()
	for _, domain := range unread {
		c.use(domain, c.stored(ctx, domain), false)
	}
}

// due returns a domain to look at now, whose turn begins, or when to look again.
func (c *Certificates) due(now time.Time) (domain, owner string, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = now.Add(lookEvery)
	for name, s := range c.domains {
		if !s.wanted || !s.read || s.looking || c.busy[s.owner] {
			continue
		}
		if !s.next.After(now) && len(c.busy) < maxOrders {
			s.looking, c.busy[s.owner] = true, true
			return name, s.owner, now
		}
		if s.next.Before(next) && s.next.After(now) {
			next = s.next
		}
	}
	return "", "", next
}

// done ends the turn of a domain.
func (c *Certificates) done(domain, owner string) {
	c.mu.Lock()
	c.domains[domain].looking = false
	delete(c.busy, owner)
	c.mu.Unlock()
	c.signal()
}

// tend gets the certificate of a domain if there is none or it is old, and notes when to look again.
func (c *Certificates) tend(ctx context.Context, domain, owner string) {
	c.mu.Lock()
	has := c.domains[domain].certificate
	c.mu.Unlock()
	if has != nil && !isDue(has, time.Now(), renewShare) {
		c.got(domain)
		return
	}
	if c.other(domain) {
		c.later(domain, minPause)
		return
	}
	if wait := c.limits.ask(owner, time.Now()); wait > 0 {
		c.later(domain, wait)
		c.limits.sometimes.Do(func() { // owners could fill the log
			c.log.Warn("the certificate of a domain has to wait: too many were ordered", "domain", domain, "node", owner,
				"for", wait.Round(time.Second), "waited_so_far", c.Delayed())
		})
		return
	}
	limited, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	certificate, err := c.order(limited, domain)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		c.use(domain, certificate, true)
		c.got(domain)
		return
	}
	pause := c.failed(domain)
	switch {
	case has == nil:
		c.log.Warn("no certificate yet, trying again", "domain", domain, "in", pause, "err", err,
			"hint", "the name must point to the server, whose port 443 must be open: the authority connects to it")
	case isDue(has, time.Now(), tooOld):
		c.log.Warn("the certificate was not renewed and ends soon", "domain", domain, "until", has.Leaf.NotAfter.UTC().Format(time.DateTime), "err", err,
			"hint", "the name must still point to the server, whose port 443 must be open: the authority connects to it")
	}
}

// use has clients get a certificate from now on, if there is one that is newer, or none in use.
func (c *Certificates) use(domain string, certificate *tls.Certificate, newer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.domains[domain]
	if s == nil || !s.wanted {
		return
	}
	s.read = true
	switch {
	case certificate == nil || !newer && s.certificate != nil:
		return
	case s.certificate == nil:
		c.log.Info("the domain has a certificate", "domain", domain, "until", certificate.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	s.certificate = certificate
}

// got notes that a domain has a certificate that is not due.
func (c *Certificates) got(domain string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.domains[domain]
	s.pause, s.next = 0, time.Now().Add(lookEvery)
}

// failed notes that an order failed, and returns for how long there is none.
func (c *Certificates) failed(domain string) (pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.domains[domain]
	s.pause = min(max(2*s.pause, minPause), maxPause)
	s.next = time.Now().Add(s.pause)
	return s.pause
}

func (c *Certificates) later(domain string, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.domains[domain].next = time.Now().Add(wait)
}

// isDue reports whether a certificate has less than one in share of its time left.
func isDue(certificate *tls.Certificate, now time.Time, share time.Duration) bool {
	leaf := certificate.Leaf
	return leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/share
}
