package login

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"apquic/internal/watchfile"
)

// maxVerified is how many certificates are remembered as verified.
const maxVerified = 1024

// Authorities certify visitors. They are in a file, which is read again when it has changed.
type Authorities struct {
	content *watchfile.Content[authorities]
}

// authorities are those of one version of the file.
type authorities struct {
	pool *x509.CertPool

	mu       sync.Mutex
	verified map[[sha256.Size]byte]time.Time // until when, by a hash of the visitor's certificate
}

// LoadAuthorities reads a file of certificates in PEM.
func LoadAuthorities(file string, log *slog.Logger) (*Authorities, error) {
	content, err := watchfile.Open(watchfile.Source[authorities]{
		Name: "the file of authorities of visitors " + file, Files: watchfile.These(file), Log: log,
		Read: func(*authorities) (*authorities, error) {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("the authorities of visitors: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("the authorities of visitors: %s has no certificate in PEM", file)
			}
			return &authorities{pool: pool, verified: make(map[[sha256.Size]byte]time.Time)}, nil
		},
	})
	return &Authorities{content}, err
}

// current returns the authorities.
func (a *Authorities) current() *x509.CertPool { return a.content.Get().pool }

// verify checks what a visitor sent; see authorities.verify.
func (a *Authorities) verify(sent []*x509.Certificate) (reason string, err error) {
	return a.content.Get().verify(sent)
}

// verify checks what a visitor sent, the key of which the handshake has proved; on failure it also returns
// the reason.
func (a *authorities) verify(sent []*x509.Certificate) (reason string, err error) {
	if len(sent) == 0 {
		return reasonNoCertificate, errors.New("the visitor has sent no certificate")
	}
	id, now := sha256.Sum256(sent[0].Raw), time.Now()
	a.mu.Lock()
	until := a.verified[id]
	a.mu.Unlock()
	if now.Before(until) {
		return "", nil
	}
	options := x509.VerifyOptions{
		Roots: a.pool, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return reasonBadCertificate, fmt.Errorf("the visitor's certificate: %w", err)
	}
	a.remember(id, chains[0])
	return "", nil
}

// remember notes that a certificate was verified.
func (a *authorities) remember(id [sha256.Size]byte, chain []*x509.Certificate) {
	until := chain[0].NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.verified) >= maxVerified {
		clear(a.verified)
	}
	a.verified[id] = until
}
