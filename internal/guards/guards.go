// Package guards makes what asks visitors from the settings of a program, and the files that these name.
//
// It must not decide whom to ask, or keep a secret anywhere but in its file.
package guards

import (
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

// KeyFile is the file in the data directory with the key of visitors' cookies.
const KeyFile = "login.key"

// Maker makes the guards of a program.
type Maker struct {
	Place   login.Place
	DataDir string
	Work    *login.Work
	Log     *slog.Logger
}

// Make makes what asks the visitors of a site that a person knows as realm.
func (m Maker) Make(realm string, demands settings.Login) (*login.Guard, error) {
	config := login.Config{Realm: realm, Passwords: demands.Passwords, Work: m.Work, Log: m.Log}
	var err error
	if demands.ClientCA != "" {
		if config.Authorities, err = login.LoadAuthorities(demands.ClientCA, m.Log); err != nil {
			return nil, err
		}
	}
	if demands.OIDC.Issuer != "" {
		if config.Provider, err = m.newProvider(demands.OIDC); err != nil {
			return nil, err
		}
	}
	return login.New(config), nil
}

// newProvider makes a provider, with the key of cookies in a file, which is made if there is none.
func (m Maker) newProvider(o settings.OIDC) (*login.Provider, error) {
	secret, err := readSecret(o.SecretFile)
	if err != nil {
		return nil, err
	}
	key, err := certs.LoadOrCreateSecret(filepath.Join(m.DataDir, KeyFile), login.KeySize)
	if err != nil {
		return nil, fmt.Errorf("the key of logins: %w", err)
	}
	return login.NewProvider(login.ProviderConfig{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, Allow: o.Allow, Key: key, Place: m.Place})
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
