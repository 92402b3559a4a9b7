package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/acme"
)

// challengePath begins the paths of http-01.
const challengePath = "/.well-known/acme-challenge/"

// account is one at an authority, and what that asks about domains.
type account struct {
	client *acme.Client
	http   bool // http-01 is possible

	registering chan struct{} // has room for one: whoever may register, and use registered
	registered  bool

	mu        sync.Mutex
	proofs    map[string]*tls.Certificate // of tls-alpn-01, by domain
	responses map[string]string           // of http-01, by domain and path
}

func newAccount(client *acme.Client, http bool) *account {
	return &account{client: client, http: http, registering: make(chan struct{}, 1), proofs: make(map[string]*tls.Certificate), responses: make(map[string]string)}
}

// proof is the certificate that the authority wants to see for a domain.
func (a *account) proof(domain string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if proof := a.proofs[domain]; proof != nil {
		return proof, nil
	}
	return nil, fmt.Errorf("no authority was asked to check %s", domain)
}

// response answers a request for a path of a domain; ok: the authority was asked for it.
func (a *account) response(domain, path string) (answer []byte, ok bool) {
	if !strings.HasPrefix(path, challengePath) {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	response, ok := a.responses[domain+path]
	return []byte(response), ok
}

// register gives the client its key, and makes the account known.
func (a *account) register(ctx context.Context, key func(context.Context) (crypto.Signer, error)) error {
	select {
	case a.registering <- struct{}{}:
		defer func() { <-a.registering }()
	case <-ctx.Done(): // the authority does not answer another order
		return ctx.Err()
	}
	if a.registered {
		return nil
	}
	if a.client.Key == nil {
		signer, err := key(ctx)
		if err != nil {
			return fmt.Errorf("the key of the account: %w", err)
		}
		a.client.Key = signer
	}
	if _, err := a.client.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return fmt.Errorf("the account at the authority: %w", err)
	}
	a.registered = true
	return nil
}

// order gets a certificate for a domain. If the authority cannot check it one way, it is asked to do it the other way.
func (c *Certificates) order(ctx context.Context, domain string) (*tls.Certificate, error) {
	a := c.account
	if err := a.register(ctx, c.accountKey); err != nil {
		return nil, err
	}
	order, err := a.authorize(ctx, domain, "tls-alpn-01")
	if err != nil && a.http && ctx.Err() == nil {
		var other error
		if order, other = a.authorize(ctx, domain, "http-01"); other != nil {
			err = errors.Join(err, other)
		} else {
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{domain}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := a.client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("the certificate of %s: %w", domain, err)
	}
	certificate := &tls.Certificate{Certificate: chain, PrivateKey: key}
	if err := check(domain, certificate); err != nil {
		return nil, err
	}
	if err := c.store(ctx, domain, certificate); err != nil {
		c.log.Error("a certificate cannot be kept", "domain", domain, "err", err)
	}
	return certificate, nil
}

// authorize orders a certificate for a domain, and lets the authority check it.
func (a *account) authorize(ctx context.Context, domain, kind string) (*acme.Order, error) {
	order, err := a.client.AuthorizeOrder(ctx, acme.DomainIDs(domain))
	if err != nil {
		return nil, fmt.Errorf("ordering a certificate: %w", err)
	}
	for _, url := range order.AuthzURLs {
		z, err := a.client.GetAuthorization(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("ordering a certificate: %w", err)
		}
		if z.Status != acme.StatusPending {
			continue // it was checked lately
		}
		if err := a.fulfil(ctx, domain, z, kind); err != nil {
			return nil, fmt.Errorf("the authority's check %s: %w", kind, err)
		}
	}
	if order, err = a.client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("ordering a certificate: %w", err)
	}
	return order, nil
}

// fulfil answers the authority while it checks a domain.
func (a *account) fulfil(ctx context.Context, domain string, z *acme.Authorization, kind string) error {
	for _, challenge := range z.Challenges {
		if challenge.Type != kind {
			continue
		}
		clean, err := a.prepare(domain, challenge)
		if err != nil {
			return err
		}
		defer clean()
		if _, err := a.client.Accept(ctx, challenge); err != nil {
			return err
		}
		_, err = a.client.WaitAuthorization(ctx, z.URI)
		return err
	}
	return errors.New("it is not offered")
}

// prepare makes the answer to a challenge, until clean.
func (a *account) prepare(domain string, challenge *acme.Challenge) (clean func(), err error) {
	if challenge.Type == "http-01" {
		response, err := a.client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		at := domain + a.client.HTTP01ChallengePath(challenge.Token)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.responses[at] = response
		return func() { a.mu.Lock(); defer a.mu.Unlock(); delete(a.responses, at) }, nil
	}
	proof, err := a.client.TLSALPN01ChallengeCert(challenge.Token, domain)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proofs[domain] = &proof
	return func() { a.mu.Lock(); defer a.mu.Unlock(); delete(a.proofs, domain) }, nil
}
