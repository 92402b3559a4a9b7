package certs

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
)

// serviceConfigs are those of a node that connects to a service of another one.
func serviceConfigs(t *testing.T, connecting, target PrivateKey, service string) (client, server *tls.Config) {
	t.Helper()
	client, err := ConnectTLS(connecting, target.ID(), service)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = ServiceTLS(target, service); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// TestServiceHandshake: both sides know each other's key, each handshake anew.
func TestServiceHandshake(t *testing.T) {
	t.Parallel()
	laptop, garage := newKey(t), newKey(t)
	client, server := serviceConfigs(t, laptop, garage, "ssh")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		c, s := handshake(t, client, server)
		if err := errors.Join(c.err, s.err); err != nil {
			t.Fatal(err)
		}
		if id, err := ServicePeer(s.state, "ssh"); id != laptop.ID() || err != nil {
			t.Errorf("the client is %v, %v", id, err)
		}
		if s.state.DidResume || s.state.Version != tls.VersionTLS13 {
			t.Error("it was resumed, or another version")
		}
		if _, err := ServicePeer(s.state, "vnc"); err == nil {
			t.Error("a peer of one service is one of another")
		}
	}
}

// TestServiceHandshakeIsBound: a server that leads a connection to another node, another service, or the QUIC of a
// node or its own, gets nowhere.
func TestServiceHandshakeIsBound(t *testing.T) {
	t.Parallel()
	laptop, garage, other := newKey(t), newKey(t), newKey(t)
	client, server := serviceConfigs(t, laptop, garage, "ssh")
	_, impostor := serviceConfigs(t, laptop, other, "ssh")
	_, vnc := serviceConfigs(t, laptop, garage, "vnc")
	sshd, _ := serviceConfigs(t, laptop, garage, "sshd")

	c, _ := handshake(t, client, impostor)
	if wrong, ok := errors.AsType[*WrongNodeError](c.err); !ok || wrong.Got != other.ID() || wrong.Want != garage.ID() || wrong.Hint() == "" {
		t.Errorf("an impostor: %v", c.err)
	}
	for name, pair := range map[string][2]*tls.Config{
		"another service":           {client, vnc},
		"a service that begins so":  {sshd, server},
		"the server's own protocol": {client, mustServerTLS(t, garage)},
		"a node of the protocol":    {mustNodeTLS(t, laptop, garage.ID()), server},
	} {
		c, s := handshake(t, pair[0], pair[1])
		if c.err == nil || s.err == nil {
			t.Errorf("%s: %v, %v", name, c.err, s.err)
		}
	}
	nobody := client.Clone()
	nobody.Certificates = nil
	if c, s := handshake(t, nobody, server); c.err == nil || s.err == nil {
		t.Errorf("without a certificate: %v, %v", c.err, s.err)
	}
	old := client.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if c, s := handshake(t, old, server); c.err == nil || s.err == nil {
		t.Errorf("TLS 1.2: %v, %v", c.err, s.err)
	}
	if _, err := ServiceTLS(PrivateKey{}, "ssh"); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("without a key: %v", err)
	}
	zero, err := ConnectTLS(laptop, NodeID{}, "ssh")
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := handshake(t, zero, server); c.err == nil {
		t.Error("nobody's id is anybody")
	}
}
