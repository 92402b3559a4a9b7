package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// accountFile has the key of the account at the authority. It and the files of certificates, which are called as their
// domain, are as autocert makes them.
const accountFile = "acme_account+key"

const keyBlock, certificateBlock = "EC PRIVATE KEY", "CERTIFICATE"

// accountKey reads the key of the account, or makes one.
func (c *Certificates) accountKey(ctx context.Context) (crypto.Signer, error) {
	text, err := c.cache.Get(ctx, accountFile)
	if err == nil {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s has no key", accountFile)
		}
		return x509.ParseECPrivateKey(block.Bytes)
	}
	if !errors.Is(err, autocert.ErrCacheMiss) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err = encodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, c.cache.Put(ctx, accountFile, text)
}

func encodeKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey)) // all keys here are
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// store keeps a certificate.
func (c *Certificates) store(ctx context.Context, domain string, certificate *tls.Certificate) error {
	text, err := encodeKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	file := bytes.NewBuffer(text)
	for _, der := range certificate.Certificate {
		if err := pem.Encode(file, &pem.Block{Type: certificateBlock, Bytes: der}); err != nil {
			return err
		}
	}
	return c.cache.Put(ctx, domain, file.Bytes())
}

// stored reads the certificate of a domain; nil: there is none that can be used.
func (c *Certificates) stored(ctx context.Context, domain string) *tls.Certificate {
	text, err := c.cache.Get(ctx, domain)
	if err != nil {
		if !errors.Is(err, autocert.ErrCacheMiss) {
			c.log.Warn("a certificate cannot be read", "domain", domain, "err", err)
		}
		return nil
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err == nil {
		err = check(domain, &certificate)
	}
	if err != nil {
		c.log.Debug("a stored certificate cannot be used", "domain", domain, "err", err)
		return nil
	}
	return &certificate
}

// check checks that a certificate is for a domain, and now, and sets its Leaf.
func check(domain string, certificate *tls.Certificate) error {
	if len(certificate.Certificate) == 0 {
		return errors.New("the authority sent no certificate")
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return err
	}
	certificate.Leaf = leaf
	private, ok := certificate.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case !ok || !private.PublicKey.Equal(leaf.PublicKey):
		return errors.New("it is for another key")
	case time.Now().After(leaf.NotAfter):
		return errors.New("it has ended")
	}
	return leaf.VerifyHostname(domain)
}
