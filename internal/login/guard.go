package login

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config says what visitors of a site must show; all that is given is demanded.
type Config struct {
	// Realm is what browsers show when they ask for a password; also the subject of log lines.
	Realm string
	// Passwords are bcrypt hashes by user; see CheckHash.
	Passwords map[string]string
	// Work is shared by all guards of a program; required with Passwords and Provider.
	Work *Work
	// Authorities certify visitors; nil: nobody needs a certificate.
	Authorities *Authorities
	// Provider knows visitors; nil: nobody needs to log in.
	Provider *Provider
	Log      *slog.Logger
}

// Reasons for which a visitor is refused, as they are counted.
const (
	reasonNoTLS          = "without TLS"
	reasonNoCertificate  = "no certificate"
	reasonBadCertificate = "certificate not trusted"
	reasonNoPassword     = "no password"
	reasonWrongPassword  = "wrong password"
	reasonTooMany        = "too many attempts"
	reasonNotLoggedIn    = "not logged in"
	reasonLoginFailed    = "login failed"
	reasonNotAllowed     = "not allowed"
	reasonProviderAway   = "provider away"
)

// logEvery is how often refused visitors of a site are worth a line.
const logEvery = time.Minute

// Guard refuses visitors who do not show what they must.
type Guard struct {
	config    Config
	passwords *passwords // nil: none is needed
	line      rate.Sometimes

	mu      sync.Mutex
	refused map[string]uint64 // by reason
}

// New makes a Guard.
func New(config Config) *Guard {
	g := &Guard{config: config, refused: make(map[string]uint64), line: rate.Sometimes{First: 1, Interval: logEvery}}
	if len(config.Passwords) > 0 {
		g.passwords = newPasswords(config.Passwords, config.Work)
	}
	return g
}

// Refused returns how many requests and handshakes were refused, by reason.
func (g *Guard) Refused() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.refused)
}

// refuse counts a refusal. Strangers cause it, so that a line about it is rare; it says how many there were.
func (g *Guard) refuse(client, reason string) {
	g.mu.Lock()
	g.refused[reason]++
	count := g.refused[reason]
	g.mu.Unlock()
	g.line.Do(func() {
		g.config.Log.Info("visitors were refused", "domain", g.config.Realm, "reason", reason, "refused", count, "client", client)
	})
}

// Run works for visitors in the background until ctx ends: it finds out about the provider.
func (g *Guard) Run(ctx context.Context) {
	if g.config.Provider != nil {
		g.config.Provider.run(ctx, g.config.Log.With("domain", g.config.Realm))
	}
}

// Handler is next for those visitors who may reach it.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visitor := &visitor{}
		switch {
		case r.TLS == nil: // the settings allow no such site; credentials must not travel unencrypted
			g.deny(w, r, http.StatusForbidden, reasonNoTLS, "This site is reached by https:// only.")
		case !g.certified(w, r, visitor) || !g.knows(w, r, visitor) || !g.loggedIn(w, r, visitor):
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, visitor)))
		}
	})
}

// deny refuses a request with a short text.
func (g *Guard) deny(w http.ResponseWriter, r *http.Request, status int, reason, text string) {
	g.refuse(r.RemoteAddr, reason)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// certified checks the certificate of a request's connection, which the handshake did already: since then it
// may have expired, or its authority be gone.
func (g *Guard) certified(w http.ResponseWriter, r *http.Request, v *visitor) bool {
	if g.config.Authorities == nil {
		return true
	}
	if reason, err := g.config.Authorities.verify(r.TLS.PeerCertificates); err != nil {
		g.deny(w, r, http.StatusForbidden, reason, "This site needs a certificate that it trusts.")
		return false
	}
	v.certificates = r.TLS.PeerCertificates
	return true
}

// Demand makes a server's handshakes demand what the guard does. HTTP must be served after them by Handler.
func (g *Guard) Demand(config *tls.Config) {
	authorities := g.config.Authorities
	if authorities == nil {
		return
	}
	config.ClientAuth = tls.RequestClientCert // VerifyConnection requires and verifies it
	config.SessionTicketsDisabled = true      // one with a certificate that is no longer trusted would fail
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if p := state.NegotiatedProtocol; p != "" && p != "h2" && p != "http/1.1" {
			return nil // an authority that checks the domain; no HTTP follows
		}
		reason, err := authorities.verify(state.PeerCertificates)
		if err != nil {
			g.refuse("", reason)
			return fmt.Errorf("login: %w", err)
		}
		return nil
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		named := config.Clone()
		named.GetConfigForClient, named.ClientCAs = nil, authorities.current() // browsers offer their certificates by these
		return named, nil
	}
}
