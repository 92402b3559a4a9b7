package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
)

// adminALPN is the protocol name of HTTP/1.1 (RFC 7301), which is not spoken to nodes.
const adminALPN = "http/1.1"

// AdminTLS returns the configuration of a program that proves key to those who see and steer it over HTTPS: TLS 1.3
// only. Clients may prove keys of their own; [AdminPeer] says whose.
func AdminTLS(key PrivateKey) (*tls.Config, error) {
	config, err := newTLS(key)
	if err != nil {
		return nil, fmt.Errorf("TLS of the admin address: %w", err)
	}
	config.NextProtos = []string{adminALPN}
	config.ClientAuth = tls.RequestClientCert
	return config, nil
}

// AdminPeer is [PeerID] for a client of the admin address that has shown a certificate.
func AdminPeer(state tls.ConnectionState) (NodeID, error) { return peerID(state, adminALPN) }

// AdminPin is the public key of a program as curl --pinnedpubkey takes it: the hash of its SubjectPublicKeyInfo
// (RFC 7469 section 2.4).
func AdminPin(key PrivateKey) (string, error) {
	public, err := x509.MarshalPKIXPublicKey(key.key().Public())
	if err != nil {
		return "", fmt.Errorf("pin of the admin address: %w", err)
	}
	sum := sha256.Sum256(public)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:]), nil
}
