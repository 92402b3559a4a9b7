package web

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files of a KeyPair are looked at, at most.
const lookEvery = 10 * time.Second

// KeyPair is a certificate and its key in files, which are read again when they have changed.
type KeyPair struct {
	certificate, key string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // when the files in use were
	looked  time.Time
}

// LoadKeyPair reads both files, in PEM.
func LoadKeyPair(certificate, key string) (*KeyPair, error) {
	k := &KeyPair{certificate: certificate, key: key}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k, k.readLocked()
}

// GetCertificate is for tls.Config. While changed files cannot be read, for instance because only one has been
// replaced, the former pair stays in use.
func (k *KeyPair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.looked) >= lookEvery {
		k.looked = now
		if err := k.readLocked(); err != nil && k.pair == nil {
			return nil, err
		}
	}
	return k.pair, nil
}

func (k *KeyPair) readLocked() error {
	var changed [2]time.Time
	for i, file := range []string{k.certificate, k.key} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("the certificate of a domain: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == k.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(k.certificate, k.key)
	if err != nil {
		return fmt.Errorf("the certificate of a domain: %s and %s: %w", k.certificate, k.key, err)
	}
	k.pair, k.changed, k.looked = &pair, changed, time.Now()
	return nil
}
