package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/config"
	"apquic/quicproxy"
)

// The files of the data directory, beside the store of the leases.
const (
	keyFile        = "key"
	joinSecretFile = "join_secret"
	resetKeyFile   = "reset_key"
	tokenKeyFile   = "token_key"
	authorizedFile = "authorized_nodes"
	leasesFile     = "leases.db"
	peersFile      = "peers" // where the nodes were

	joinSecretSize = 16
)

// makeDataDir makes the data directory, for its owner alone, and proves that it can be written.
func makeDataDir(path string) error {
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(path, ".writable-*"); err == nil {
			probe.Close()
			err = os.Remove(probe.Name())
		}
	}
	if err != nil {
		return hinted{fmt.Errorf("the data directory cannot be used: %w", err),
			"choose another one with --data-dir, or give this user the right to write it"}
	}
	return nil
}

// serverKey is the key of the configuration, or else the one in the data directory.
func serverKey(settings config.Server) (certs.PrivateKey, error) {
	if !settings.Key.IsZero() {
		return settings.Key, nil
	}
	return certs.LoadOrCreateKey(filepath.Join(settings.DataDir, keyFile))
}

// quicKeys are the secrets that must survive a restart for nodes to notice it at once.
func quicKeys(dataDir string) (reset, token [32]byte, err error) {
	for file, key := range map[string]*[32]byte{resetKeyFile: &reset, tokenKeyFile: &token} {
		secret, err := certs.LoadOrCreateSecret(filepath.Join(dataDir, file), len(key))
		if err != nil {
			return reset, token, err
		}
		copy(key[:], secret)
	}
	return reset, token, nil
}

func joinSecret(dataDir string) ([]byte, error) {
	return certs.LoadOrCreateSecret(filepath.Join(dataDir, joinSecretFile), joinSecretSize)
}

// admission decides who may have a port; nil: everybody.
func admission(settings config.Server, log *slog.Logger) quicproxy.Admitter {
	if settings.Open {
		return nil
	}
	nodes := certs.NewAuthorizedNodes(filepath.Join(settings.DataDir, authorizedFile))
	return quicproxy.NewAdmission(nodes, func() ([]byte, error) { return joinSecret(settings.DataDir) }, log)
}

// whoMay says in words what admission does.
func whoMay(settings config.Server) string {
	if settings.Open {
		return "every node"
	}
	return "nodes in " + filepath.Join(settings.DataDir, authorizedFile) + " and those with the invitation's secret"
}

// invite makes the invitation to the server with this id, at host and port.
func invite(settings config.Server, id certs.NodeID, host string, port uint16) (string, error) {
	invitation := certs.Invitation{Server: id, Host: host, Port: port}
	if !settings.Open {
		secret, err := joinSecret(settings.DataDir)
		if err != nil {
			return "", err
		}
		invitation.Secret = secret
	}
	return invitation.String(), nil
}

// printInvitation prints what the server prints at its start; a running server knows a new secret at once.
func printInvitation(c *call, newSecret bool) error {
	if err := c.Validate(); err != nil {
		return err
	}
	settings := c.Settings
	_, portText, _ := net.SplitHostPort(settings.Listen)
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return cli.UsageError("apquic-server", fmt.Errorf("the port in --listen %s is known only to the running server", settings.Listen))
	}
	key, err := serverKey(settings)
	if err != nil {
		return err
	}
	if newSecret {
		if _, err := certs.ReplaceSecret(filepath.Join(settings.DataDir, joinSecretFile), joinSecretSize); err != nil {
			return err
		}
	}
	invitation, err := invite(settings, key.ID(), publicHost(settings), uint16(port))
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, invitation)
	return nil
}

// hinted is an error with the one thing to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
func (h hinted) Hint() string  { return h.hint }
