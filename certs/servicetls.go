package certs

import (
	"crypto/tls"
	"fmt"
)

// serviceALPN begins the protocol name of TLS between two nodes; the name of the service follows. No other protocol
// of this program has one like it, so a handshake cannot be led elsewhere.
const serviceALPN = ALPN + " private/"

// WrongNodeError says that another node answered than the one asked for: it proved another key.
type WrongNodeError struct{ Want, Got NodeID }

func (e *WrongNodeError) Error() string {
	return fmt.Sprintf("wrong node: wanted %v, but %v answered", e.Want, e.Got)
}

// Hint says whom not to trust.
func (e *WrongNodeError) Hint() string {
	return "the server led this connection to a node that was not asked for; ask its operator"
}

// ServiceTLS returns the configuration of a node that proves key, for the clients of one of its private services: TLS
// 1.3 only, and each client proves its own key. Whether that one may connect is decided by [ServicePeer].
func ServiceTLS(key PrivateKey, service string) (*tls.Config, error) {
	config, err := newServiceTLS(key, service)
	if err != nil {
		return nil, err
	}
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := ServicePeer(state, service)
		return err
	}
	return config, nil
}

// ConnectTLS returns the configuration of a node that proves key and connects to a private service of node; the
// handshake with anyone else fails with a [*WrongNodeError], and that for another service fails, too.
func ConnectTLS(key PrivateKey, node NodeID, service string) (*tls.Config, error) {
	config, err := newServiceTLS(key, service)
	if err != nil {
		return nil, err
	}
	// Only the check of names, dates and issuers is off, as in NodeTLS.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		got, err := ServicePeer(state, service)
		if err == nil && (got != node || node.IsZero()) {
			err = &WrongNodeError{Want: node, Got: got}
		}
		return err
	}
	return config, nil
}

// ServicePeer is [PeerID] for a connection to a private service.
func ServicePeer(state tls.ConnectionState, service string) (NodeID, error) {
	return peerID(state, serviceALPN+service)
}

func newServiceTLS(key PrivateKey, service string) (*tls.Config, error) {
	config, err := newTLS(key)
	if err != nil {
		return nil, fmt.Errorf("TLS of a private service: %w", err)
	}
	config.NextProtos = []string{serviceALPN + service}
	return config, nil
}
