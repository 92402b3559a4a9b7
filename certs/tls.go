package certs

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// ALPN is the protocol name in the TLS handshake (RFC 7301). It includes the version of the protocol.
const ALPN = "apquic/1"

// WrongServerError says that the server that answered is not the one asked for: it proved another key.
type WrongServerError struct{ Want, Got NodeID }

func (e *WrongServerError) Error() string {
	return fmt.Sprintf("wrong server: wanted %v, but %v answered", e.Want, e.Got)
}

// Hint says where to look.
func (e *WrongServerError) Hint() string {
	return "check the address; if the server got a new key while this node was away, get a new invitation from its owner and join with it and --replace"
}

// ServerTLS returns the configuration of a server that proves key: TLS 1.3 only, and every client must pass
// [PeerID]. Whether the client may connect is decided elsewhere.
func ServerTLS(key PrivateKey) (*tls.Config, error) {
	config, err := newTLS(key)
	if err != nil {
		return nil, fmt.Errorf("TLS of the server: %w", err)
	}
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := PeerID(state)
		return err
	}
	return config, nil
}

// NodeTLS returns the configuration of a node that proves key and talks only to the server with one of these
// ids, the first being its present one; the handshake with anyone else fails with a [*WrongServerError].
func NodeTLS(key PrivateKey, server ...NodeID) (*tls.Config, error) {
	config, err := newTLS(key)
	if err != nil {
		return nil, fmt.Errorf("TLS of the node: %w", err)
	}
	if len(server) == 0 || slices.Contains(server, NodeID{}) {
		return nil, errors.New("TLS of the node: no server id")
	}
	// Only the check of names, dates and issuers is off. The server's key is checked below, in every
	// handshake.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		got, err := PeerID(state)
		if err != nil {
			return err
		}
		if !slices.Contains(server, got) {
			return &WrongServerError{Want: server[0], Got: got}
		}
		return nil
	}
	return config, nil
}

// newTLS is what both sides have in common. Without session tickets every handshake proves both keys again,
// and there is no 0-RTT data to replay.
func newTLS(key PrivateKey) (*tls.Config, error) {
	if key.IsZero() {
		return nil, errors.New("no private key")
	}
	certificate, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{ALPN},
		Certificates:           []tls.Certificate{certificate},
		SessionTicketsDisabled: true,
	}, nil
}

// selfSigned wraps key in an X.509 certificate, since TLS libraries want one. Nobody looks at its names and
// dates, which are constant, so that a computer with a wrong clock makes the same certificate.
func selfSigned(key PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: key.ID().String()},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 section 4.1.2.5: no end
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.key().Public(), key.key())
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key.key()}, nil
}

// PeerID returns the identity of the peer of a connection after its handshake, or in VerifyConnection. It is
// the only source of identity. The peer must have agreed to [ALPN] and shown exactly one certificate, for an
// ed25519 key and signed by that key itself; names and dates do not matter.
func PeerID(cs tls.ConnectionState) (NodeID, error) { return peerID(cs, ALPN) }

func peerID(cs tls.ConnectionState, protocol string) (NodeID, error) {
	if cs.NegotiatedProtocol != protocol {
		return NodeID{}, fmt.Errorf("peer speaks protocol %q, want %q", cs.NegotiatedProtocol, protocol)
	}
	if n := len(cs.PeerCertificates); n != 1 {
		return NodeID{}, fmt.Errorf("peer shows %d certificates, want 1", n)
	}
	certificate := cs.PeerCertificates[0]
	public, ok := certificate.PublicKey.(ed25519.PublicKey)
	if !ok {
		return NodeID{}, fmt.Errorf("peer has a certificate for a key of type %v, want Ed25519", certificate.PublicKeyAlgorithm)
	}
	err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature)
	if err != nil {
		return NodeID{}, fmt.Errorf("peer's certificate is not signed by its own key: %w", err)
	}
	id := NodeID(public)
	if id.IsZero() {
		return NodeID{}, errors.New("peer's key is all zero bytes")
	}
	return id, nil
}
