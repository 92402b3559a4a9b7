package login

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"
)

const (
	// providerTimeout bounds each request to a provider, and maxAnswer its answer.
	providerTimeout, maxAnswer = 10 * time.Second, 1 << 20
	// maxExchanges is how many logins a provider is asked about at once.
	maxExchanges = 16
	// While a provider does not answer, it is asked again after pauses that grow from the first to the
	// second.
	firstPause, longestPause = 2 * time.Second, time.Minute
)

// KeySize is the size of ProviderConfig.Key.
const KeySize = chacha20poly1305.KeySize

// ProviderConfig says which OpenID Connect provider knows the visitors, and who may visit.
type ProviderConfig struct {
	Issuer, ClientID, ClientSecret string
	// Allow has addresses (anna@example.org), domains of addresses (@example.org), group:NAME, subject:NAME,
	// or * for whoever the provider lets log in.
	Allow []string
	// Key encrypts cookies; KeySize random bytes that survive restarts.
	Key   []byte
	Place Place
}

// Provider is an OpenID Connect provider. It may be away when the program starts.
type Provider struct {
	config    ProviderConfig
	client    *http.Client
	aead      cipher.AEAD
	exchanges chan struct{} // has room for those that run
	found     atomic.Pointer[endpoints]
}

// endpoints are what the provider says about itself.
type endpoints struct {
	oauth2.Config // without RedirectURL
	verifier      *oidc.IDTokenVerifier
}

// NewProvider makes a Provider, which Guard.Run asks about itself.
func NewProvider(config ProviderConfig) (*Provider, error) {
	aead, err := chacha20poly1305.NewX(config.Key)
	if err != nil {
		return nil, fmt.Errorf("login: the key of cookies: %w", err)
	}
	return &Provider{
		config: config, aead: aead, exchanges: make(chan struct{}, maxExchanges),
		client: &http.Client{Timeout: providerTimeout, Transport: boundedTransport{http.DefaultTransport}},
	}, nil
}

// run asks the provider about itself until it has answered, or ctx ends.
func (p *Provider) run(ctx context.Context, log *slog.Logger) {
	pause, line := firstPause, rate.Sometimes{First: 3, Interval: 10 * time.Minute}
	for {
		found, err := p.discover(ctx)
		if err == nil {
			p.found.Store(found)
			log.Info("the OpenID Connect provider answers", "issuer", p.config.Issuer)
			return
		}
		if ctx.Err() != nil {
			return
		}
		line.Do(func() {
			log.Warn("visitors cannot log in yet: the OpenID Connect provider does not say where", "issuer", p.config.Issuer, "err", err, "again_in", pause)
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

func (p *Provider) discover(ctx context.Context) (*endpoints, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.config.Issuer, err)
	}
	var says struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := provider.Claims(&says); err != nil {
		return nil, fmt.Errorf("%s: %w", p.config.Issuer, err)
	}
	scopes := []string{oidc.ScopeOpenID, "email", "profile"}
	if slices.Contains(says.Scopes, "groups") {
		scopes = append(scopes, "groups")
	}
	return &endpoints{
		oauth2.Config{ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, Endpoint: provider.Endpoint(), Scopes: scopes},
		provider.Verifier(&oidc.Config{ClientID: p.config.ClientID}),
	}, nil
}

// errRefused is an answer by which the provider, or what is checked here, refuses a login.
var errRefused = errors.New("the login is refused")

// exchange has the provider say who logged in. Other errors than errRefused are those of a provider that does
// not answer.
func (p *Provider) exchange(ctx context.Context, found *endpoints, redirect, code string, a attempt) (session, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	config := found.Config
	config.RedirectURL = redirect
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return session{}, fmt.Errorf("%w: %s", errRefused, refusal.ErrorCode) // its text may have more than belongs in a log
	}
	if err != nil {
		return session{}, fmt.Errorf("exchanging a code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.verifier.Verify(ctx, raw)
	switch {
	case err != nil:
		return session{}, fmt.Errorf("%w: %w", errRefused, err)
	case id.Nonce != a.Nonce:
		return session{}, fmt.Errorf("%w: the nonce is another one", errRefused)
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // a text at some providers
		Groups   any    `json:"groups"`         // one or several
	}
	if err := id.Claims(&claims); err != nil {
		return session{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	s := session{Subject: id.Subject, Until: time.Now().Add(sessionTime).Unix()}
	if claims.Verified == true || claims.Verified == "true" {
		s.Email = claims.Email
	}
	for _, rule := range p.config.Allow { // those that matter, since a cookie has little room
		if group, ok := strings.CutPrefix(rule, "group:"); ok && has(claims.Groups, group) {
			s.Groups = append(s.Groups, group)
		}
	}
	return s, nil
}

// has reports whether a claim is a text, or a list that contains it.
func has(claim any, text string) bool {
	list, _ := claim.([]any)
	return claim == any(text) || slices.Contains(list, any(text))
}

// allows reports whether somebody may visit.
func (p *Provider) allows(s session) bool {
	return slices.ContainsFunc(p.config.Allow, func(rule string) bool {
		group, isGroup := strings.CutPrefix(rule, "group:")
		subject, isSubject := strings.CutPrefix(rule, "subject:")
		_, domain, _ := strings.Cut(s.Email, "@")
		switch {
		case rule == "*":
			return true
		case isGroup:
			return slices.Contains(s.Groups, group)
		case isSubject:
			return s.Subject == subject
		case strings.HasPrefix(rule, "@"):
			return s.Email != "" && strings.EqualFold("@"+domain, rule)
		}
		return s.Email != "" && strings.EqualFold(s.Email, rule)
	})
}

// boundedTransport bounds the bodies of answers, which are read whole.
type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}
