package login

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// lookEvery is how often the file of Authorities is looked at, at most.
	lookEvery = 10 * time.Second
	// maxVerified is how many certificates are remembered as verified.
	maxVerified = 1024
)

// Authorities certify visitors. They are in a file, which is read again when it has changed.
type Authorities struct {
	file string

	mu       sync.Mutex
	pool     *x509.CertPool
	changed  time.Time // when the file in use was
	looked   time.Time
	verified map[[sha256.Size]byte]time.Time // until when, by a hash of the visitor's certificate
}

// LoadAuthorities reads a file of certificates in PEM.
func LoadAuthorities(file string) (*Authorities, error) {
	a := &Authorities{file: file}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a, a.readLocked()
}

// current returns the authorities. While a changed file cannot be read, the former ones stay in use.
func (a *Authorities) current() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refreshLocked()
	return a.pool
}

func (a *Authorities) refreshLocked() {
	if now := time.Now(); now.Sub(a.looked) >= lookEvery {
		a.looked = now
		a.readLocked() // its error is that of a file that somebody is about to write
	}
}

func (a *Authorities) readLocked() error {
	info, err := os.Stat(a.file)
	if err != nil {
		return fmt.Errorf("the authorities of visitors: %w", err)
	}
	if info.ModTime().Equal(a.changed) {
		return nil
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		return fmt.Errorf("the authorities of visitors: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("the authorities of visitors: %s has no certificate in PEM", a.file)
	}
	a.pool, a.changed, a.looked = pool, info.ModTime(), time.Now()
	a.verified = make(map[[sha256.Size]byte]time.Time)
	return nil
}

// verify checks what a visitor sent, the key of which the handshake has proved; on failure it also returns
// the reason.
func (a *Authorities) verify(sent []*x509.Certificate) (reason string, err error) {
	if len(sent) == 0 {
		return reasonNoCertificate, errors.New("the visitor has sent no certificate")
	}
	id, now := sha256.Sum256(sent[0].Raw), time.Now()
	a.mu.Lock()
	a.refreshLocked()
	pool, until := a.pool, a.verified[id]
	a.mu.Unlock()
	if now.Before(until) {
		return "", nil
	}
	options := x509.VerifyOptions{
		Roots: pool, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return reasonBadCertificate, fmt.Errorf("the visitor's certificate: %w", err)
	}
	a.remember(id, pool, chains[0])
	return "", nil
}

// remember notes that a certificate was verified, if the authorities are still those of then.
func (a *Authorities) remember(id [sha256.Size]byte, pool *x509.CertPool, chain []*x509.Certificate) {
	until := chain[0].NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pool != pool {
		return
	}
	if len(a.verified) >= maxVerified {
		clear(a.verified)
	}
	a.verified[id] = until
}
