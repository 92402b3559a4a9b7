package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"apquic/quicproxy/internal/tlsconn"
)

// withTLS has the connections of dial carry TLS, to a server that has to prove that it is the one at address:
// with a certificate for that name by an authority of the system or of the file s.CA, or with the one that
// s.Pin names.
func withTLS(address string, s Settings, dial dialer) (dialer, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.WithZone("").String()
	}
	pin, err := parsePin(s.Pin)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, client Client) (net.Conn, error) {
		config := &tls.Config{ServerName: host}
		if pin != nil {
			config.InsecureSkipVerify = true // the name and the date do not matter
			config.VerifyConnection = func(state tls.ConnectionState) error { return checkPin(pin, state) }
		} else if s.CA != "" {
			roots, err := readCA(s.CA) // each time: it may be replaced, or repaired
			if err != nil {
				return nil, err
			}
			config.RootCAs = roots
		}
		c, err := dial(ctx, client)
		if err != nil {
			return nil, err
		}
		over := tlsconn.New(tls.Client(c, config))
		if err := over.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, explainTLS(err)
		}
		return over, nil
	}, nil
}

// parsePin reads the SHA-256 of a certificate, as openssl prints it or without colons; nil: there is none.
func parsePin(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(pin) != sha256.Size {
		return nil, fmt.Errorf("a pin is the SHA-256 of a certificate: %d hexadecimal digits, with or without colons", 2*sha256.Size)
	}
	return pin, nil
}

func checkPin(pin []byte, state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	if got := sha256.Sum256(leaf.Raw); subtle.ConstantTimeCompare(got[:], pin) != 1 {
		return &pinError{leaf}
	}
	return nil
}

// readCA reads the certificates of the authorities in a PEM file.
func readCA(path string) (*x509.CertPool, error) {
	const most = 1 << 20
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("the certificate authority %s is not a file of at most %d bytes", path, most)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in the form of PEM, which begins with -----BEGIN CERTIFICATE-----", path)
	}
	return roots, nil
}
