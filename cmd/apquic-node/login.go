package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"apquic/certs"
	"apquic/internal/login"
	"apquic/internal/settings"
)

// loginKey is the file in the data directory with the key of visitors' cookies.
const loginKey = "login.key"

// newGuard makes what asks the visitors of a service.
func newGuard(service settings.Service, work *login.Work, dataDir string, log *slog.Logger) (*login.Guard, error) {
	config := login.Config{Realm: cmp.Or(service.Domain, service.Name), Passwords: service.Passwords, Work: work, Log: log}
	var err error
	if service.ClientCA != "" {
		if config.Authorities, err = login.LoadAuthorities(service.ClientCA, log); err != nil {
			return nil, err
		}
	}
	if service.OIDC.Issuer != "" {
		if config.Provider, err = newProvider(service.OIDC, filepath.Join(dataDir, loginKey)); err != nil {
			return nil, err
		}
	}
	return login.New(config), nil
}

// newProvider makes the provider of a service, with the key of cookies in a file, which is made if there is
// none.
func newProvider(o settings.OIDC, keyFile string) (*login.Provider, error) {
	secret, err := readSecret(o.SecretFile)
	if err != nil {
		return nil, err
	}
	key, err := certs.LoadOrCreateSecret(keyFile, login.KeySize)
	if err != nil {
		return nil, fmt.Errorf("the key of logins: %w", err)
	}
	return login.NewProvider(login.ProviderConfig{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, Allow: o.Allow, Key: key})
}

// readSecret reads the secret of an OpenID Connect client, which is the only line of a file.
func readSecret(file string) (string, error) {
	const most = 4 << 10
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("clientSecretFile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", fmt.Errorf("clientSecretFile: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || len(text) == most || strings.ContainsFunc(secret, unicode.IsControl) {
		return "", fmt.Errorf("clientSecretFile: %s should have one line, the secret", file)
	}
	return secret, nil
}
