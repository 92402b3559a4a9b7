package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"apquic/internal/watchfile"
)

// KeyPair is a certificate and its key in files, which are read again when they have changed.
type KeyPair struct {
	pair *watchfile.Content[tls.Certificate]
}

// LoadKeyPair reads both files, in PEM.
func LoadKeyPair(certificate, key string, log *slog.Logger) (*KeyPair, error) {
	pair, err := watchfile.Open(watchfile.Source[tls.Certificate]{
		Name: "the certificate " + certificate, Files: watchfile.These(certificate, key), Log: log,
		Read: func(*tls.Certificate) (*tls.Certificate, error) { return readKeyPair(certificate, key) },
	})
	return &KeyPair{pair}, err
}

// GetCertificate is for tls.Config.
func (k *KeyPair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.pair.Get(), nil
}

func readKeyPair(certificate, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate of a domain: %s and %s: %w", certificate, key, err)
	}
	return &pair, nil
}
