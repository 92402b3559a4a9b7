// Package logins is the settings that say what visitors of a site must show, of a node and of a server.
//
// It must not read any file that the settings name.
package logins

import (
	"errors"
	"fmt"
	"strings"

	"apquic/internal/password"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// Login is what visitors of a site must show; where several are given, all of them.
type Login struct {
	Passwords map[string]string // hashes by user, see password.Check
	ClientCA  string            // file of the authorities that certify visitors
	OIDC      OIDC
}

// OIDC is the OpenID Connect provider at which visitors log in; its zero value: none.
type OIDC struct {
	Issuer, ClientID, SecretFile string
	Allow                        []string // who may visit; see address.WantAllow
}

// AsksVisitors reports whether visitors must show anything.
func (l Login) AsksVisitors() bool {
	return len(l.Passwords) > 0 || l.ClientCA != "" || l.OIDC.Issuer != ""
}

// Keys are those of a site whose visitors must show something.
func (l *Login) Keys() jsonc.Form {
	return jsonc.Form{
		"password": {Want: `users and hashes, such as {"anna": "$2a$12$..."}`, Set: func(v jsonc.Value) error {
			l.Passwords = make(map[string]string)
			return v.Members(func(name string, at, member jsonc.Value) {
				if err := password.CheckUser(name); err != nil {
					at.Report(err)
					return
				}
				member.Apply(jsonc.Field{Want: "a hash by bcrypt", Set: func(v jsonc.Value) error {
					hash, err := jsonc.Parsed(func(s string) (string, error) { return s, password.Check(s) })(v)
					l.Passwords[name] = hash
					return err
				}})
			})
		}},
		"clientCA": {Want: `the path of a PEM file, such as "/etc/apquic/family.pem"`, Set: jsonc.Into(&l.ClientCA, jsonc.Value.Text)},
		"oidc":     {Want: `an object such as {"issuer": "https://login.example.org", "clientId": "apquic", "clientSecretFile": "/etc/apquic/oidc", "allow": ["anna@example.org"]}`, Set: func(v jsonc.Value) error { return v.Decode(l.OIDC.Keys()) }},
	}
}

// Keys are those of a provider.
func (o *OIDC) Keys() jsonc.Form {
	return jsonc.Form{
		"issuer":           {Want: `the provider's URL, such as "https://login.example.org"`, Set: jsonc.Into(&o.Issuer, jsonc.Parsed(address.ParseIssuer)), Required: true},
		"clientId":         {Want: "the name under which the provider knows this site", Set: jsonc.Into(&o.ClientID, jsonc.Value.Text), Required: true},
		"clientSecretFile": {Want: "the path of a file with the secret for clientId", Set: jsonc.Into(&o.SecretFile, jsonc.Value.Text), Required: true},
		"allow": {Want: address.WantAllow, Required: true, Set: func(v jsonc.Value) error {
			return v.Elements(func(v jsonc.Value) {
				v.Apply(jsonc.Field{Want: address.WantAllow, Set: func(v jsonc.Value) error {
					one, err := jsonc.Parsed(address.ParseAllowed)(v)
					o.Allow = append(o.Allow, one)
					return err
				}})
			})
		}},
	}
}

// Fault returns what is wrong with it as a whole.
func (l Login) Fault() error {
	switch {
	case len(l.Passwords) > 0 && l.OIDC.Issuer != "":
		return errors.New("visitors log in by password or by oidc, not by both: remove one of them")
	case l.OIDC.Issuer != "" && len(l.OIDC.Allow) == 0:
		return errors.New("allow in oidc names nobody; want " + address.WantAllow)
	}
	return nil
}

// Describe says what visitors must show, without secrets.
func (l Login) Describe() string {
	var needs []string
	switch n := len(l.Passwords); {
	case n == 1:
		needs = append(needs, "the password of one user")
	case n > 1:
		needs = append(needs, fmt.Sprintf("the password of one of %d users", n))
	}
	if l.ClientCA != "" {
		needs = append(needs, "a certificate by "+l.ClientCA)
	}
	if l.OIDC.Issuer != "" {
		needs = append(needs, fmt.Sprintf("a login at %s as one of %s", l.OIDC.Issuer, strings.Join(l.OIDC.Allow, ", ")))
	}
	if len(needs) == 0 {
		return ""
	}
	return ", for visitors with " + strings.Join(needs, " and ")
}
