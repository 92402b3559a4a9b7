package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/backup"
	"apquic/internal/cli"
	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/internal/settings/limits"
	"apquic/quicproxy/admission"
)

// The files in the data directory, beside the lease store.
const (
	keyFile         = "key"
	resetKeyFile    = "reset_key"
	tokenKeyFile    = "token_key"
	authorizedFile  = "authorized_nodes"
	invitationsFile = "invitations"
	leasesFile      = "leases.db"
	totalsFile      = "totals.db"
	peersFile       = "peers"          // where the nodes were
	addressFile     = "public_address" // where nodes reached the server when it last started
)

// makeDataDir makes the data directory, for its owner alone, and checks that it can be written.
func makeDataDir(path string) error {
	if err := backup.CheckFinished(path); err != nil {
		return err
	}
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(path, ".writable-*"); err == nil {
			probe.Close()
			err = os.Remove(probe.Name())
		}
	}
	if err != nil {
		return hint.Add(fmt.Errorf("the data directory cannot be used: %w", err),
			"choose another one with --data-dir, or give this user write access")
	}
	return checkDataDir(path)
}

// checkDataDir refuses files that others could write and so decide who may have ports.
func checkDataDir(path string) error {
	return certs.CheckDataDir(path, authorizedFile, invitationsFile, leasesFile, totalsFile, limits.Name)
}

// serverKey is the key in the configuration, or otherwise the one in the data directory.
func serverKey(config settings.Server) (certs.PrivateKey, error) {
	if !config.Key.IsZero() {
		return config.Key, nil
	}
	return certs.LoadOrCreateKey(filepath.Join(config.DataDir, keyFile))
}

const secretSize = 32 // bytes

// quicKeys are the secrets that must survive a restart so that nodes notice it at once.
func quicKeys(dataDir string) (reset, token [secretSize]byte, err error) {
	for file, key := range map[string]*[secretSize]byte{resetKeyFile: &reset, tokenKeyFile: &token} {
		secret, err := certs.LoadOrCreateSecret(filepath.Join(dataDir, file), len(key))
		if err != nil {
			return reset, token, err
		}
		copy(key[:], secret)
	}
	return reset, token, nil
}

// admits decides who may have a port.
func admits(config settings.Server, authority *admin.Authority, log *slog.Logger) admission.Admitter {
	return admission.New(admission.Config{
		Nodes: authority.Nodes, Invitations: authority.Invitations, Open: config.Open, Log: log,
	})
}

// whoMay says in words whom admission admits.
func whoMay(config settings.Server) string {
	if config.Open {
		return "every node"
	}
	return "nodes in " + filepath.Join(config.DataDir, authorizedFile) + " and invited ones"
}

// writePublicAddress stores where nodes reach the server, for the commands.
func writePublicAddress(dataDir, host string, port uint16) error {
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	return cli.ReplaceFile(filepath.Join(dataDir, addressFile), []byte(address+"\n"))
}

// hasPublicAddress reports whether a server has ever run here.
func hasPublicAddress(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, addressFile))
	return err == nil
}

// readPublicAddress returns where nodes reached the server when it last ran.
func readPublicAddress(dataDir string) (host string, port uint16, err error) {
	path := filepath.Join(dataDir, addressFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", 0, hint.Add(fmt.Errorf("this server's public address is unknown: %w", err), "start the server once")
	}
	host, digits, err := net.SplitHostPort(strings.TrimSpace(string(text)))
	number, wrong := strconv.ParseUint(digits, 10, 16)
	if err != nil || wrong != nil || number == 0 {
		return "", 0, hint.Add(fmt.Errorf("%s: want one line with HOST:PORT", path), "remove it and start the server once")
	}
	return host, uint16(number), nil
}
