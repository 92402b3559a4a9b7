package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// authority is a throw-away authority, and what it certifies.
type authority struct {
	roots *x509.CertPool
	// file has the authority's certificate, certificate and key what a site needs.
	file, certificate, key string
}

// newAuthority makes an authority in a folder, and a certificate of it for a name.
func newAuthority(folder, name string) (*authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "apquic demo, trust it nowhere"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	site := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	siteDER, err := x509.CreateCertificate(rand.Reader, site, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	a := &authority{
		roots: x509.NewCertPool(), file: filepath.Join(folder, "authority.pem"),
		certificate: filepath.Join(folder, "site.pem"), key: filepath.Join(folder, "site.key"),
	}
	for path, block := range map[string]*pem.Block{
		a.file: {Type: "CERTIFICATE", Bytes: rootDER}, a.certificate: {Type: "CERTIFICATE", Bytes: siteDER}, a.key: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
		if path == a.file {
			a.roots.AppendCertsFromPEM(text)
		}
	}
	return a, nil
}
